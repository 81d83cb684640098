"""The child process that decodes untrusted images (`producer/imaging/sandbox.py` has the other end).

It imports nothing of the gateway: an exploited decoder finds no key, no connection and no other image here.
"""

from __future__ import annotations

import sys
from typing import Any

from contract.untrusted.imaging.inspect import NotAnImage, TooLarge, adopt, convert, shrink
from contract.untrusted.imaging.iso_media import HeicUnreadable
from contract.untrusted.sandbox_process import Reply, serve


def reply(question: dict[str, Any], body: bytearray) -> Reply:
    """Do what is asked for; whatever goes wrong is a part of the reply."""
    try:
        return _done(bytes(body), **question)
    except TooLarge as error:
        return {"refused": "too_large", "limit": error.limit}, b""
    except MemoryError:
        return {"refused": "too_large"}, b""
    except HeicUnreadable:
        return {"refused": "not_an_image", "unread": "HEIC", "extra": "heic"}, b""
    except NotAnImage:
        return {"refused": "not_an_image"}, b""
    except ValueError as error:  # `contract.untrusted.imaging` makes none of a picture
        return {"misused": str(error)}, b""
    # Bytes that raise an unforeseen exception in a parser are no image.
    except Exception as error:  # noqa: BLE001
        sys.stderr.write(f"retouch: {type(error).__name__}\n")
        return {"refused": "not_an_image"}, b""


def _done(data: bytes, task: str, **options: Any) -> Reply:
    found: dict[str, Any] = {}
    if task == "adopt":
        info, made = adopt(data)
        found = {"mime": info.mime, "width": info.width, "height": info.height}
    elif task == "shrink":
        made = shrink(data, **options)
    else:
        made = convert(data, **options)
    is_same = made is data  # then it need not cross the socket once more
    return {**found, "is_same": is_same}, b"" if is_same else made


if __name__ == "__main__":
    serve(reply)
