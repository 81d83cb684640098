"""A gateway without patience, for tests of clients that take their time.

`python -m tests.support.stack.impatient_gateway [config.json]` runs it.
"""

from __future__ import annotations

import runpy

from producer.api import requests
from producer.api.server import uvicorn_server

uvicorn_server.HEADERS_S = 0.5
requests.BODY_S = 0.5
uvicorn_server.STALLED_S = 0.5

if __name__ == "__main__":
    runpy.run_module("producer.api", run_name="__main__")
