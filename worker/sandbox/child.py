"""The child process that parses untrusted input: JSON, base64, images.

A body of 15 MB can make a parser busy for a second and fill gigabytes, and Pillow is a large
decoder of hostile files. So all of it happens here, under the limits of `contract/untrusted/sandbox_process.py`;
`worker/sandbox/pool.py` has the other end of the socket.
"""

from __future__ import annotations

import binascii
import codecs
import contextlib
import hashlib
import re
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson
import pybase64

from contract.errors.catalogue.provider import (
    ANSWER_TOO_LARGE,
    BAD_IMAGE,
    IMAGE_TOO_LARGE,
    PROVIDER_BAD_ANSWER,
    PROVIDER_INTERRUPTED,
    UNSAFE_URL,
    UNSUPPORTED_IMAGE,
)
from contract.untrusted.imaging.inspect import NotAllowed, NotAnImage, TooLarge, clean, shrink
from contract.untrusted.imaging.limits import MIN_SIDE
from contract.untrusted.sandbox_process import Reply, serve
from worker.answers.error_classification import of_garbage
from worker.answers.errors import Interrupted, ProviderError, Unusable
from worker.answers.event_stream import completion_in, is_event_stream, longest_event
from worker.answers.untrusted_json import mapping, told_cost
from worker.memory.reader_lock import ReaderLock
from worker.providers.registry import PROVIDERS

MAX_PARTS = 100_000  # of a JSON text
MAX_HEAD = 1024  # characters before the data of a data URL
MAX_LINK = 8192  # characters; which links are opened is for `worker/http/download.py` to say

Weigh = Callable[[int], None]

# A parameter in quotes may have commas.
_DATA_URL = re.compile(r"\s*data:(?:.{0,500}?(?P<base64>;\s*base64)\s*,|[^,]{0,500},|[^,]{0,500}$)", re.IGNORECASE)


def read_answer(
    provider: str, body: bytearray, most: int = 1, *, is_poll: bool = False, weigh: Weigh | None = None
) -> Reply:
    """Read a provider's whole answer, of a call or of a poll, and as many pictures of it; the body is emptied.

    Raises ProviderError.
    """
    parse = (PROVIDERS[provider].parse_poll if is_poll else None) or PROVIDERS[provider].parse_response
    value = load_json(body)
    body.clear()
    try:
        answer = parse(value)
    except ProviderError as error:
        raise error.costing(told_cost(mapping(value))) from error
    del value
    found: dict[str, Any] = {"cost_usd": answer.cost_usd, **({"is_done": True} if answer.is_done else {})}
    if answer.poll_url:
        found["poll_url"] = checked_link(answer.poll_url)
    if not answer.pictures:
        return found, b""
    pictures = list(answer.pictures)
    del answer
    try:
        return _read_pictures(found, pictures, most, weigh)
    except ProviderError as error:
        raise error.costing(found["cost_usd"]) from error


def _read_pictures(found: dict[str, Any], pictures: list[str], most: int, weigh: Weigh | None) -> Reply:
    """Read as many good pictures as are wanted, no two alike; where none is good, the links. Raises ProviderError."""
    total = len(pictures)
    links: list[str] = []
    good: dict[str, Reply] = {}
    failure: ProviderError | None = None
    looked_at: set[int] = set()
    pictures.reverse()
    while pictures and len(good) < most:
        looked_at.add(hash(pictures[-1]))
        if is_link(pictures[-1]):
            links.append(pictures.pop())
            continue
        try:
            # Its text is let go of as soon as it is decoded, so no name may stand for it here.
            info, data = read_picture(decode_picture(pictures.pop()), weigh)
        except ProviderError as error:
            failure = failure or error
        else:
            good.setdefault(info["sha256"], (info, data))
    if not good and links:
        checked = [checked_link(link) for link in links]
        more = {"links": checked[1:]} if checked[1:] else {}
        return {**found, "extras": total - 1, "link": checked[0], **more}, b""
    if failure and not good:
        raise failure
    (first, _), *others = good.values()
    sized = [{**info, "size": len(data)} for info, data in others]
    found |= {"extras": total - len(good), **_left(pictures, looked_at)}
    described = {**found, **first, **({"more": sized} if sized else {})}
    return described, b"".join(data for _, data in good.values())


def _left(pictures: list[str], looked_at: set[int]) -> dict[str, int]:
    """Count the pictures that were not decoded and are not links, no two alike."""
    left = {hash(text) for text in pictures if not is_link(text)} - looked_at
    return {"left": len(left)} if left else {}


def read_picture(data: bytes, weigh: Weigh | None = None) -> Reply:
    """Look at a picture and take away what is no part of it. Raises ProviderError."""
    try:
        info, data = clean(data, weigh=weigh)
    except TooLarge as error:
        raise Unusable(IMAGE_TOO_LARGE, http_status=200) from error
    except NotAllowed as error:
        raise Interrupted(UNSUPPORTED_IMAGE, http_status=200) from error
    except NotAnImage as error:
        raise Interrupted(BAD_IMAGE, http_status=200) from error
    if min(info.width, info.height) < MIN_SIDE:
        raise Interrupted(BAD_IMAGE, http_status=200)
    width, height = info.upright
    found = {"mime": info.mime, "width": width, "height": height, "is_blank": info.is_blank}
    return {**found, "sha256": hashlib.sha256(data).hexdigest()}, data


def load_json(body: bytes | bytearray) -> Any:
    """Parse JSON; of a stream of events that was not asked for, a chat completion in pieces, or the longest event.

    Raises Interrupted: cut off, or nothing we can read.
    """
    if is_event_stream(body):
        lines = bytes(body).split(b"\n")
        if not _is_much(body) and (completion := completion_in(lines)):
            return completion
        body = longest_event(lines)
    if body.startswith(codecs.BOM_UTF8):
        body = body[len(codecs.BOM_UTF8) :]
    if _is_much(body):
        raise of_garbage()
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if error.msg.startswith("Not enough memory"):
            raise Unusable(ANSWER_TOO_LARGE, http_status=200) from error
        was_cut = error.msg.startswith("unexpected end")
        raise Interrupted(PROVIDER_INTERRUPTED if was_cut else PROVIDER_BAD_ANSWER, http_status=200) from error


def _is_much(body: bytes | bytearray) -> bool:
    return sum(map(body.count, (b"[", b"{", b","))) > MAX_PARTS  # base64 has none of these


def is_link(picture: str) -> bool:
    """Tell a link from base64 and data URLs; whether it may be followed is for `worker/http/download.py` to say."""
    start = picture.lstrip()[:12].lower()
    return ":" in start and not start.startswith("data:")


def checked_link(link: str) -> str:
    """Take a link that is not longer than any may be. Raises Unusable."""
    if len(link) > MAX_LINK:
        raise Unusable(UNSAFE_URL, http_status=200)
    return link.strip()


def decode_picture(text: str) -> bytes:
    """Decode base64 or a data URL, forgiving white space, missing padding and the URL-safe alphabet.

    Raises Interrupted (`bad_image`) for anything else.
    """
    if head := _DATA_URL.match(text[:MAX_HEAD]):  # a match would hold on to the whole text
        text = text[head.end() :]
        if "%" in text and not head["base64"]:
            return unquote_to_bytes(text)
    with contextlib.suppress(binascii.Error, ValueError):
        if text and (data := pybase64.b64decode(text, validate=True)):
            return data
    if "%" in text:
        text = unquote_to_bytes(text).decode("latin-1")
    compact = "".join(text.split()).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        data = pybase64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Interrupted(BAD_IMAGE, http_status=200) from error
    if not data:
        raise Interrupted(BAD_IMAGE, http_status=200)
    return data


def reply(provider: str, body: bytearray, most: int = 1, *, is_poll: bool = False, weigh: Weigh | None = None) -> Reply:
    """Read an answer, or a picture when no provider is named; whatever goes wrong is a part of the reply."""
    try:
        if provider:
            return read_answer(provider, body, most, is_poll=is_poll, weigh=weigh)
        data = bytes(body)
        body.clear()
        return read_picture(data, weigh)
    except ProviderError as error:
        return {"error": error.record()}, b""
    except MemoryError:
        kind = ANSWER_TOO_LARGE if provider else IMAGE_TOO_LARGE
        return {"error": Unusable(kind, http_status=200).record()}, b""
    # Bytes that bring an unforeseen exception out of a parser are not readable, whatever they are.
    except Exception as error:  # noqa: BLE001
        sys.stderr.write(f"reader: {type(error).__name__}\n")
        return {"error": Interrupted(PROVIDER_BAD_ANSWER, http_status=200).record()}, b""


def smaller(data: bytes, side: int, *, weigh: Weigh | None = None) -> Reply:
    """Make a reference image smaller; where that cannot be the reply is empty."""
    try:
        made = shrink(data, side=side, weigh=weigh)
    except (NotAnImage, MemoryError):
        return {}, b""
    return {"mime": "image/png" if made.startswith(b"\x89PNG") else "image/jpeg"}, made


def main() -> None:
    """Answer questions for ever, in turn with the other readers where the work is heavy."""
    scales = ReaderLock(int(sys.argv[2]), beside=int(sys.argv[3]))

    def answer(question: dict[str, Any], body: bytearray) -> Reply:
        with scales.work(2 * len(body)):
            if "shrink" in question:
                return smaller(bytes(body), question["shrink"], weigh=scales.weigh)
            return reply(
                question["provider"],
                body,
                question.get("most", 1),
                is_poll=question.get("is_poll", False),
                weigh=scales.weigh,
            )

    serve(answer)


if __name__ == "__main__":
    main()
