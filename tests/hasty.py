"""`python -m hasty [config.json]`: a gateway without patience, for tests of clients that take their time."""

from __future__ import annotations

import runpy

from producer.api import body, server

server.HEADERS_S = 0.5
body.BODY_S = 0.5
server.STALLED_S = 0.5

if __name__ == "__main__":
    runpy.run_module("producer.api", run_name="__main__")
