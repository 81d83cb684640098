"""Statuses, headers and error objects of every kind: classified, and told without what is secret."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.fuzz.inputs.hostile import hostile, padded
from tests.fuzz.inputs.json_edits import ANY_JSON, NAMES, SCALARS
from tests.fuzz.wellformed import KEYS, PROMPTS, assert_error
from worker.answers.error_classification import (
    of_download,
    of_error_object,
    of_refusal,
    of_silence,
    of_status,
    retry_after,
)
from worker.answers.errors import ProviderError
from worker.answers.redaction import clean

_NUMBERS = st.integers().map(str) | st.floats().map(str) | st.sampled_from(("9" * 400, "1e999", "-1e999", "1_0", "٣"))
_YEARS = st.sampled_from(("0", "1", "0100", "1969", "1970", "2030", "9999", "10000", "99999999999999999999", "-1"))
_ZONES = st.sampled_from(
    (
        "GMT",
        "",
        "-0000",
        "+0000",
        "+2359",
        "-2400",
        "+9999",
        "EST",
        "+99999999999",
        "-" + "9" * 20,
        "+9223372036854775807",
    )
)
_DATES = st.builds(
    "{}, {:02} {} {} {}:{}:{} {}".format,
    st.sampled_from(("Mon", "Xyz", "")),
    st.integers(0, 32),
    st.sampled_from(("Jan", "Dec", "Foo")),
    _YEARS,
    st.sampled_from(("00", "23", "24", "99999999999")),
    st.sampled_from(("00", "59", "60")),
    st.sampled_from(("00", "59", "60", "61", "-1", "9" * 20)),
    _ZONES,
)
WAITS = st.none() | _NUMBERS | _DATES | st.text(max_size=20) | st.lists(_NUMBERS, max_size=3).map(", ".join)
_SHOWN_CHARS = 200
_SAID_CHARS = 2000  # as the providers' files do it
_STATUSES = st.sampled_from((400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 502, 503, 504, 524, 529)) | st.integers(
    100, 999
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a provider said instead of a picture; the prompt and the key may stand anywhere in it."""

    prompt: str
    status: int
    wait: str | None
    body: Any


def _texts(prompt: str) -> st.SearchStrategy[str]:
    return hostile(*KEYS, prompt) | padded(*KEYS, prompt, limit=_SHOWN_CHARS)


def _refusals(prompt: str) -> st.SearchStrategy[Refusal]:
    texts = _texts(prompt)
    values = texts | texts | SCALARS | st.lists(texts | SCALARS, max_size=3)
    quoted = st.dictionaries(st.sampled_from(("code", "message", "error")), values, max_size=3).map(json.dumps)
    metadata = st.fixed_dictionaries(
        {},
        optional={
            "reasons": st.lists(texts, max_size=3) | values,
            "error_type": values,
            "limit_source": values,
            "raw": quoted | values,
        },
    )
    availability = st.dictionaries(st.sampled_from(("retryable", "retry_after")), SCALARS, max_size=2)
    errors = st.fixed_dictionaries(
        {"message": values},
        optional={
            "code": values,
            "type": values,
            "http_status": SCALARS,
            "metadata": metadata | values,
            "availability": availability | values,
        },
    )
    bodies = (
        st.fixed_dictionaries({"error": errors | values})
        | st.fixed_dictionaries({"message": values})
        | st.dictionaries(st.sampled_from(NAMES), values, max_size=3)
        | ANY_JSON
    )
    return st.builds(Refusal, st.just(prompt), _STATUSES, WAITS, bodies)


REFUSALS = st.sampled_from(PROMPTS).flatmap(_refusals)
CUT = st.sampled_from(PROMPTS).flatmap(
    lambda prompt: st.builds(
        lambda first, second, is_list: Refusal(
            prompt, 403, None, {"error": {"metadata": {"reasons": [first, second]}} if is_list else {"message": first}}
        ),
        padded(*KEYS, prompt, limit=_SHOWN_CHARS),
        padded(*KEYS, prompt, limit=_SHOWN_CHARS),
        st.booleans(),
    )
)
SAYINGS = st.sampled_from(PROMPTS).flatmap(lambda prompt: st.tuples(st.just(prompt), _texts(prompt)))


def any_status_is_an_error_of_ours(refusal: Refusal) -> None:
    """Check what is not 200, with its body and its Retry-After."""
    headers = {} if refusal.wait is None else {"retry-after": refusal.wait}
    error = of_status(refusal.status, headers, refusal.body)
    assert error.http_status == refusal.status
    assert_error(error, prompt=refusal.prompt)
    assert_error(of_download(refusal.status, headers))


def no_cut_leaves_a_part_of_a_secret(refusal: Refusal) -> None:
    """Check the same where long texts are cut, in the midst of a secret."""
    any_status_is_an_error_of_ours(refusal)


def any_error_object_is_an_error_of_ours(refusal: Refusal) -> None:
    """Check what is an error inside of a 200."""
    body = refusal.body
    found = body["error"] if isinstance(body, dict) and "error" in body else body
    assert_error(of_error_object(found), prompt=refusal.prompt)


def any_saying_is_a_sentence(saying: tuple[str, str]) -> None:
    """Check what models say instead of making a picture, and why filters stop them."""
    prompt, said = saying
    for error in (of_silence(clean(said, limit=_SAID_CHARS)), of_refusal(said)):
        assert isinstance(error, ProviderError)
        assert_error(error, prompt=prompt)


def any_wait_is_a_time_or_nothing(value: str | None) -> None:
    """Check that Retry-After is a time that one can wait for."""
    seconds = retry_after(value)
    assert seconds is None or (math.isfinite(seconds) and seconds > 0)
