"""Spells base64 texts and the beginnings of data URLs as providers do, and as they should not (rows P57 and P58)."""

import base64
import re
import urllib.parse
from collections.abc import Callable

USUAL_PREFIX = "data:image/png;base64,"


def _every(count: int, gap: str) -> Callable[[str], str]:
    return lambda text: gap.join(text[at : at + count] for at in range(0, len(text), count))


def _percent_encoded_bytes(text: str) -> str:
    return urllib.parse.quote_from_bytes(base64.b64decode(text))


# Each takes the usual base64 text.
TEXTS: dict[str, Callable[[str], str]] = {
    "usual": lambda text: text,
    # still readable
    "newlines": _every(76, "\n"),
    "crlf": _every(76, "\r\n"),
    "spaces": _every(76, " "),
    "tabs": _every(76, "\t"),
    "leading_space": lambda text: "  " + text,
    "final_newline": lambda text: text + "\n",
    "unpadded": lambda text: text.rstrip("="),
    "url_safe": lambda text: text.replace("+", "-").replace("/", "_"),
    "url_safe_unpadded": lambda text: text.replace("+", "-").replace("/", "_").rstrip("="),
    "percent_encoded": lambda text: urllib.parse.quote(text, safe=""),
    "percent_plus": lambda text: text.replace("+", "%2B"),
    "percent_bytes": _percent_encoded_bytes,
    # beyond repair
    "not_base64": lambda text: "%%% this is no base64 %%%",
    "one_over": lambda text: text[: len(text) // 8 * 4] + "A",
    "unicode": lambda text: "図" + text[1:],
    "nul": lambda text: text[:40] + "\x00" + text[41:],
    "punctuation": lambda text: re.sub("[A-E]", "!", text),
    "padded_inside": lambda text: text[:40] + "====" + text[44:],
    "nothing": lambda text: "",
    "padding_only": lambda text: "====",
}
READABLE = tuple(TEXTS)[1 : tuple(TEXTS).index("not_base64")]
UNREADABLE = tuple(TEXTS)[tuple(TEXTS).index("not_base64") :]

PREFIXES: dict[str, str] = {
    "upper_case": "DATA:IMAGE/PNG;BASE64,",
    "mixed_case": "Data:image/PNG;Base64,",
    "charset": "data:image/png;charset=utf-8;base64,",
    "parameters": 'data:image/png;name="a,b.png";x=1;base64,',
    "no_mime": "data:;base64,",
    "only_marker": "data:base64,",
    "space_after_comma": "data:image/png;base64, ",
    "space_before": " data:image/png;base64,",
    "spaces_inside": "data: image/png ; base64,",
    "bare": "",
    "not_marked": "data:image/png,",
}
