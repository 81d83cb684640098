"""Images in the words of an answer: data URLs anywhere, and links where markdown or HTML shows an image.

A mere link is none, and neither is one in an example of code. Which links are opened is for `worker/http/download.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

MOST_TARGETS = 1000  # of links and tags that are looked at
MAX_ALT = 4000  # characters of the words for which an image stands; some gateways put the prompt there
MAX_LINK = 9000  # characters, more than any may have

_BASE64 = r"[A-Za-z0-9+/_%-]+={0,2}"
_DATA_URL = re.compile(
    r"data:(?:image/[\w.+-]{1,60}|application/octet-stream)?(?:;[^,;()<>]{1,100}){0,5};base64,\s{0,4}"
    rf"{_BASE64}(?:\r?\n[ \t]{{0,8}}{_BASE64}(?=[ \t]*(?:[\r\n)\"'>]|$)))*",
    re.IGNORECASE,
)
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]{1,500}`", re.DOTALL)
_TARGET = re.compile(
    rf"\]\(\s{{0,8}}(?:<(?P<angled>https?://[^<>\s]{{1,{MAX_LINK}}})>"
    rf"|(?P<plain>https?://(?:[^\s()<>]|\([^\s()<>]{{0,500}}\)){{1,{MAX_LINK}}}))",
    re.IGNORECASE,
)
_TAG = re.compile(
    rf"<img\s[^<>]{{0,2000}}?\bsrc\s{{0,4}}=\s{{0,4}}[\"']?(https?://[^\s\"'<>]{{1,{MAX_LINK}}})", re.IGNORECASE
)
_ALONE = re.compile(r"<?(https?://[^\s<>?#]{1,2000}\.(?:png|jpe?g|webp|gif)(?:[?#][^\s<>]{0,6000})?)>?", re.IGNORECASE)
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_AMPERSAND = re.compile(r"&(?:amp|#38|#x26);", re.IGNORECASE)


def images_in(words: str) -> list[str]:
    """Find the images in what an answer says: data URLs before links, each once, in their order."""
    if found := _DATA_URL.findall(words):
        return list(dict.fromkeys(found))
    if alone := _ALONE.fullmatch(words.strip()):
        return [alone[1]]
    return list(dict.fromkeys(_links(_CODE.sub(" ", words))))


def _links(words: str) -> Iterator[str]:
    """Yield the links of markdown's images, then those of HTML's."""
    for number, target in enumerate(_TARGET.finditer(words)):
        if number == MOST_TARGETS:
            return
        if _is_image(words, target.start()):
            yield _AMPERSAND.sub("&", _ESCAPED.sub(r"\1", target["angled"] or target["plain"]))
    for number, tag in enumerate(_TAG.finditer(words)):
        if number == MOST_TARGETS:
            return
        yield _AMPERSAND.sub("&", tag[1])


def _is_image(words: str, end: int) -> bool:
    """Tell whether the brackets that end before a link are those of an image."""
    start = words.rfind("![", max(0, end - MAX_ALT), end)
    if start < 0 or (start and words[start - 1] == "\\"):
        return False
    depth = 0
    for char in words[start + 2 : end]:
        depth += (char == "[") - (char == "]")
        if depth < 0:
            return False
    return depth == 0
