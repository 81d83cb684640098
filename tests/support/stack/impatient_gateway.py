"""`python -m tests.support.stack.impatient_gateway [config.json]`: a gateway that soon gives up on slow clients."""

from __future__ import annotations

import runpy

from producer.api import requests
from producer.api.server import uvicorn_server

uvicorn_server.HEADERS_S = 0.5
requests.BODY_S = 0.5
uvicorn_server.STALLED_S = 0.5

if __name__ == "__main__":
    runpy.run_module("producer.api", run_name="__main__")
