"""What vendors call refused content, wherever in an answer it stands: codes, phrases, and errors that are quoted.

The codes are those of the vendors' own lists. A gateway quotes its upstream's error as JSON or as text, so the whole of
an error is looked at, and the JSON that stands in its texts.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from worker.answers.untrusted_json import Json, mapping, text

MOST_PARTS = 500  # of an answer that are looked at
MOST_CHARS = 2**16  # of a text that may be JSON
MOST_DEPTH = 8

# Codes without their punctuation, so that IMAGE_SAFETY, "Image safety" and imageSafety are one.
_CODES = frozenset(
    (
        *("moderationblocked", "contentpolicyviolation", "refusal", "moderated", "requestmoderated"),
        *("contentmoderated", "contentfilter", "contentfiltered", "responsibleaipolicyviolation"),
        *("safety", "imagesafety", "prohibitedcontent", "imageprohibitedcontent", "blocklist", "spii"),
        *("recitation", "imagerecitation", "modelarmor", "jailbreak"),
        *("datainspectionfailed", "ipinfringementsuspect", "sensitivewordsdetected", "1301"),
    )
)
_CODE_PART = re.compile(r"sensitivecontentdetected|riskdetection$|safetyviolation|unsafegeneration")
_MINIMAX = frozenset({1026, 1027})  # of `base_resp.status_code`
_PHRASE = re.compile(
    r"(?:rejected|blocked|refused|flagged|filtered)\b.{0,60}\b(?:safety system|safety filter|moderation|content filter)"
    r"|(?:violat\w+|against)\b.{0,60}\b(?:content|usage|safety) polic(?:y|ies)"
    r"|content policy violation|content management policy|(?:request|content) moderated"
    r"|\b(?:contains?|detected)\b.{0,30}\b(?:inappropriate content|sensitive (?:content|words|information))"
    r"|sensitive (?:content|words) (?:was |were )?detected",
    re.IGNORECASE | re.DOTALL,
)
_CODE_KEYS = (
    *("code", "type", "status", "reason", "error_type", "error_code", "provider_code", "finish_reason"),
    *("native_finish_reason", "finishReason", "stop_reason", "blockReason", "block_reason", "raiFilteredReason"),
)
_MESSAGE_KEYS = ("message", "msg", "status_msg", "detail", "error_message", "error")
_WITHHELD = ("respect_moderation", "is_image_safe")  # when false
_OPENS_JSON = re.compile(r'\{(?=\s*["}])')
_QUOTED_CODE = re.compile(r'"(?:code|type|status|reason)"\s*:\s*"([\w .-]{1,80})"')


class Refusal(NamedTuple):
    """A refusal of content: the text next to it, if any, and the code, if there is one."""

    said: str
    code: str


def refusal_in(answer: Json) -> Refusal | None:
    """Find the first part of an answer that says that the content was refused."""
    for part in _parts(answer):
        said = _said(part)
        code = next((code for code in _codes(part) if is_refused(code=code)), "")
        if code or is_refused(said=said):
            return Refusal(said, code)
    return None


def is_refused(*, code: str = "", said: str = "") -> bool:
    """Tell whether a code, or what is said, means that the content was refused."""
    name = re.sub(r"[^a-z0-9]", "", code[:100].lower())
    return name in _CODES or bool(_CODE_PART.search(name)) or bool(_PHRASE.search(said[:MOST_CHARS]))


def said_upstream(error: dict[str, Json]) -> str:
    """Find what a gateway's upstream said, where the gateway quotes its error."""
    quoted = [mapping(error.get("metadata")).get("raw"), error.get("message")]
    found = (_read(value) if isinstance(value, str) else value for value in quoted)
    return next((said for value in found for part in _parts(value) if (said := _said(part))), "")


def texts_in(answer: Json, *names: str) -> Iterator[str]:
    """Yield the texts under these names in all parts of an answer, also of one that is quoted in it."""
    for part in _parts(answer):
        yield from (str(part[name]) for name in names if isinstance(part.get(name), str))


def _parts(value: Json) -> Iterator[dict[str, Json]]:
    """Yield the objects of an answer, outer ones first, as far as it is worth looking."""
    left = deque([(value, 0)])
    for _ in range(MOST_PARTS):
        if not left:
            return
        part, depth = left.popleft()
        if isinstance(part, dict):
            yield part
        room = MOST_PARTS - len(left) if depth < MOST_DEPTH else 0
        left += [(below, depth + 1) for below in _inside(part)[:room]]


def _inside(part: Json) -> list[Json]:
    """List what is inside of a part, also what is quoted in its texts."""
    values = part[:MOST_PARTS] if isinstance(part, list) else list(mapping(part).values())[:MOST_PARTS]
    texts = (mapping(part).get(name) for name in ("raw", "body", *_MESSAGE_KEYS))
    quoted = [_read(each) for each in texts if isinstance(each, str) and _OPENS_JSON.search(each)]
    plain = [
        {"message": raw} for raw in [mapping(part).get("raw")] if isinstance(raw, str) and not _OPENS_JSON.search(raw)
    ]
    return [*(value for value in values if isinstance(value, dict | list)), *quoted, *plain]


def _read(quoted: str) -> Json:
    """Read a text as JSON; one that is none, or was cut off, is something said, with codes in it."""
    try:
        found: Json = json.loads(quoted[:MOST_CHARS])
    except (ValueError, RecursionError):
        codes = [{"code": code} for code in _QUOTED_CODE.findall(quoted[:MOST_CHARS])]
        return [*codes, {"message": _OPENS_JSON.sub("(", quoted[:MOST_CHARS])}]
    return found if isinstance(found, dict | list) else {"message": quoted[:MOST_CHARS]}


def _said(part: dict[str, Json]) -> str:
    """Take what a part says in words, if they are no JSON again."""
    found = (text(part.get(name)) for name in _MESSAGE_KEYS)
    return next((said for said in found if said.strip() and not said.lstrip().startswith(("{", "["))), "")


def _codes(part: dict[str, Json]) -> Iterator[str]:
    yield from (str(part[name]) for name in _CODE_KEYS if isinstance(part.get(name), str | int))
    is_minimax = part.get("status_code") in _MINIMAX if isinstance(part.get("status_code"), int) else False
    if is_minimax or any(part.get(name) is False for name in _WITHHELD):
        yield "content_filter"
