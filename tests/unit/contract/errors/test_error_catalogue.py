"""The words of every error: they read well whatever is known, and the page about them is the newest."""

import re
from itertools import combinations
from pathlib import Path

import pytest

import contract.store
from contract.errors.catalogue.request import REFERENCE_TOO_LARGE
from contract.errors.catalogue.table import PROVIDER
from contract.errors.exceptions import DarkroomError
from contract.errors.template import MessageTemplate
from docs.make_error_reference import NAMES, PAGE, VALUES, example, outcomes, page
from producer.error_catalogue import ALL_KINDS as KINDS
from worker.answers.errors import ProviderError

LUA = Path(contract.store.__file__).parent / "lua"


def reads_well(text: str) -> bool:
    plain = text.replace("${VAR_NAME}", "a variable")
    odd = ("  ", "None", "{", "}", "[", "]", "|", "()", "..", " .", " ,", "''")
    return plain.endswith(".") and len(text) <= 200 and not any(sign in plain for sign in odd)


@pytest.mark.parametrize("code", KINDS)
def test_a_sentence_reads_well_with_any_of_its_values(code: str) -> None:
    everything = {**NAMES, **VALUES.get(code, {})}
    for count in range(len(everything) + 1):
        for known in combinations(everything.items(), count):
            assert reads_well(KINDS[code].sentence.format_map(dict(known))), known
    assert reads_well(example(code))


@pytest.mark.parametrize("code", KINDS)
def test_a_sentence_reads_well_where_values_are_there_but_empty(code: str) -> None:
    for nothing in (None, ""):
        detail = DarkroomError(KINDS[code], **dict.fromkeys([*NAMES, *VALUES.get(code, {})], nothing)).detail
        assert reads_well(detail)
        assert detail == DarkroomError(KINDS[code]).detail


@pytest.mark.parametrize("code", KINDS)
def test_what_can_be_done_is_one_short_sentence_or_was_said_before(code: str) -> None:
    kind = KINDS[code]
    assert kind.hint == "" or reads_well(kind.hint)
    assert kind.title
    assert not kind.title.endswith(".")
    assert 400 <= kind.status < 600


# The last column of the catalogue of misbehaviour.
SAID = {
    "answer_encoded": "The answer from openrouter was compressed (gzip), which Darkroom does not ask for and does not "
    "unpack.",
    "answer_too_large": "The answer from openrouter was too large.",
    "bad_api_base": "apiBase of openrouter redirects; set the final address.",
    "bad_image": "openrouter returned a damaged image.",
    "bad_model": "Model 'a/b' is not available at openrouter.",
    "bad_parameters": "openrouter does not accept image_size=4K.",
    "content_refused": "openrouter refused this prompt or image (violence). Change it and try again.",
    "no_image": "The model answered without an image.",
    "provider_auth": "The API key for openrouter was rejected. The owner must check providers.openrouter.apiKey.",
    "provider_bad_answer": "openrouter sent an answer we could not read.",
    "provider_credits": "The openrouter account has no credit left.",
    "provider_down": "openrouter is temporarily unavailable.",
    "provider_interrupted": "The answer from openrouter was cut off.",
    "provider_rate_limited": "openrouter asks to wait 24 h. Try later or use another provider.",
    "provider_timeout": "openrouter did not answer in 120 s. "
    "Try a smaller image size, set quality to low, or retry later.",
    "provider_tls_failed": "Secure connection to openrouter failed (certificate).",
    "provider_unreachable": "Could not reach openrouter. Check the network or apiBase.",
    "result_expired": "The image expired before it could be fetched.",
    "unsafe_url": "The provider returned a link we will not open.",
}
KNOWN: dict[str, dict[str, object]] = {
    "bad_parameters": {"field": "image_size", "value": "4K"},
    "content_refused": {"reason": "violence"},
    "answer_encoded": {"encoding": "gzip"},
    "provider_rate_limited": {"wait": "24 h"},
    "provider_timeout": {"seconds": 119.98},
}


@pytest.mark.parametrize("code", SAID)
def test_the_provider_part_says_what_the_catalogue_says(code: str) -> None:
    detail = DarkroomError(KINDS[code], provider="openrouter", model="a/b", **KNOWN.get(code, {})).detail
    assert detail == SAID[code]


@pytest.mark.parametrize(
    ("values", "detail"),
    [
        ({}, "The reference images are too large."),
        ({"limit": "32 MiB"}, "A reference image may have at most 32 MiB."),
        ({"total_mib": 64}, "Reference images may have at most 64 MiB together."),
        ({"provider": "aihubmix"}, "aihubmix does not accept reference images this large."),
    ],
    ids=["unknown", "each", "together", "provider"],
)
def test_p39_references_may_be_too_large_for_us_or_for_the_provider(values: dict[str, object], detail: str) -> None:
    assert DarkroomError(REFERENCE_TOO_LARGE, **values).detail == detail


def test_scripts_know_only_codes_whose_sentences_need_no_values() -> None:
    codes = {code for script in LUA.rglob("*.lua") for code in re.findall(r'"code":"(\w+)"', script.read_text())}
    assert codes
    assert all(KINDS[code].sentence == KINDS[code].sentence.format_map({}) for code in codes)


def test_the_page_is_what_make_docs_makes_and_leaves_nothing_out() -> None:
    made = page()
    assert PAGE.read_text() == made, "run `make docs`"
    assert [code for code in KINDS if f"| `{code}` |" not in made] == []


def test_what_is_done_about_each_error_of_a_provider_is_known() -> None:
    found = outcomes()
    assert [code for code in PROVIDER if code not in found] == []
    assert {branch.outcome for branch in ProviderError.__subclasses__()} == set().union(*found.values())


@pytest.mark.parametrize(
    ("template", "values", "filled"),
    [
        ("a[ {x}].", {"x": 1}, "a 1."),
        ("a[ {x}].", {}, "a."),
        ("[{x}={y}|{x}|nothing].", {"x": 1, "y": 2}, "1=2."),
        ("[{x}={y}|{x}|nothing].", {"x": 1}, "1."),
        ("[{x}={y}|{x}|nothing].", {"y": 2}, "nothing."),
        ("{provider} fails; {provider} fails.", {}, "The provider fails; The provider fails."),
        ("It is {provider}.", {}, "It is the provider."),
        ("{x} s.", {"x": 119.98}, "120 s."),
        ("{x} s.", {"x": 2.0}, "2 s."),
        ("{x} s.", {"x": 0.46}, "0.5 s."),
        ("{x} s.", {"x": float("inf")}, "inf s."),
        ("{x} s.", {"x": 0}, "0 s."),
        ("It says: {x}.", {"x": "Stop."}, "It says: Stop."),
        ("It says: {x}.", {"x": "Why?"}, "It says: Why?"),
        ("It says: {x}.", {"x": "cut…"}, "It says: cut…"),
        ("It says: {x}.", {"x": "[{y}|{provider}] {0} %s"}, "It says: [{y}|{provider}] {0} %s."),
        ("${{VAR}}", {}, "${VAR}"),
    ],
)
def test_a_sentence_is_filled_with_what_is_known(template: str, values: dict[str, object], filled: str) -> None:
    assert MessageTemplate(template).format_map(values) == filled
