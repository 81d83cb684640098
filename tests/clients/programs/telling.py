"""How a program in Python tells what came of a request."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable

URL, TOKEN, PROMPT, PICTURE, MODEL = (os.environ[name] for name in ("URL", "TOKEN", "PROMPT", "PICTURE", "MODEL"))
SIZE = "1536x1024"


def tell(**actions: Callable[[], list[str]]) -> None:
    """Do what the first argument names, and print its images (base64 or links) or its error."""
    try:
        said: dict[str, object] = {"images": actions[sys.argv[1]]()}
    except Exception as error:  # noqa: BLE001 - it is told
        status = getattr(error, "status_code", None)
        said = {"error": {"kind": type(error).__name__, "message": str(error), "status": status}}
    print(f"\n{json.dumps(said)}", flush=True)
