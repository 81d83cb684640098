"""Reads scripts that are written as text: `P09 twice, then P25.date 3 times, ok always`."""

import re

SEPARATOR = re.compile(r"\s*,\s*(?:then\s+)?|\s+then\s+", re.IGNORECASE)
STEP = re.compile(
    r"(?P<kind>\w+)(?:\.(?P<variant>\w+))?(?:\s+(?:(?P<word>once|twice|always)|(?P<count>\d{1,6})\s+times?))?",
    re.IGNORECASE,
)
WORDS: dict[str, int | str] = {"once": 1, "twice": 2, "always": "always"}


def read_steps(text: str) -> list[dict[str, object]]:
    """Return the steps of a text, or raise ValueError."""
    return [_read_step(part) for part in SEPARATOR.split(text.strip()) if part]


def _read_step(text: str) -> dict[str, object]:
    found = STEP.fullmatch(text)
    if found is None:
        raise ValueError(f"cannot read {text!r}; write `<kind>[.<variant>] [once|twice|<n> times|always]`")
    step: dict[str, object] = {"kind": found["kind"]}
    if found["variant"]:
        step["variant"] = found["variant"]
    if found["word"]:
        step["times"] = WORDS[found["word"].lower()]
    elif found["count"]:
        step["times"] = int(found["count"])
    return step
