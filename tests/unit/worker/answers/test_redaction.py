"""Foreign text becomes fit to be shown: cleaned, cut, and without secrets."""

import pytest

from worker.answers.error_classification import of_error_object, of_refusal, of_silence, of_status
from worker.answers.errors import ProviderError
from worker.answers.redaction import LEAST, RUN, clean

KEY = "custom-key-0123456789abcdefghij"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("plain  text\n here", "plain text here"),
        ("\x1b[31mred\x1b[0m \x1b]0;title\x07", "red"),
        ("a\0b\x85c", "a b c"),
        ("<html><body onload='x'>Bad <b>gateway</b></html>", "Bad gateway"),
        ("key sk-or-v1-abcdef012345 here", "key … here"),
        ("Authorization: Bearer abc.def", "Authorization: …"),
        ("see data:image/png;base64,iVBORw0KGgo= there", "see … there"),
        ("https://x/y?key=abc&z=1", "https://x/y?…&z=1"),
        (f"your key {KEY}!", "your key …!"),
        ("x" * 1_000_000, "x" * 199 + "…"),
        ("", ""),
    ],
    ids=lambda text: repr(text[:12]),
)
def test_p56_foreign_text_is_cleaned(text: str, cleaned: str) -> None:
    assert clean(text, secrets=(KEY,)) == cleaned


def test_p56_short_secrets_do_not_riddle_the_text() -> None:
    assert clean("a banana", secrets=("", "a")) == "a banana"


@pytest.mark.parametrize("filler", ["x", " ", "\x01", "<b>"])
@pytest.mark.parametrize("limit", [200, 2000, 4000, 40_000])
def test_p56_no_part_of_a_key_is_left_where_a_text_is_cut(filler: str, limit: int) -> None:
    for before in range(limit - 40, limit + 10, 5 if limit < 40_000 else 10):
        message = (filler * before)[:before] + " " + KEY + " tail" * 2000
        body = {"code": 500, "message": message}
        for made in (of_status(500, {}, {"error": body}), of_error_object(body)):
            assert KEY[:8] not in made.named(secrets=(KEY,), provider="x").detail


@pytest.mark.parametrize("dots", ["", "…", "……"], ids=len)
@pytest.mark.parametrize("size", [LEAST + 1, 12, len(KEY) - 1])
def test_p56_a_secret_that_was_cut_at_the_end_of_a_text_is_taken_out(size: int, dots: str) -> None:
    assert clean(f"bad key {KEY[:size]}{dots}", secrets=(KEY,)) == "bad key …"


def test_p56_what_could_be_any_word_at_the_end_of_a_text_stays() -> None:
    assert clean(f"a {KEY[:LEAST]}", secrets=(KEY,)) == f"a {KEY[:LEAST]}"


PROMPTS = {"lines": "a red fox\nin the snow", "markup": "a  red fox <lora:x> runs", "long": "a red fox " * 250}


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
def test_p56_a_secret_is_found_as_it_is_and_as_it_was_cleaned(prompt: str) -> None:
    for said in (prompt, clean(prompt), clean(prompt, limit=5000), prompt[:RUN] + "… and so on"):
        assert "red fox" not in clean(f"cannot make: {said}", secrets=(prompt,))


def test_p56_no_text_of_a_provider_is_a_template() -> None:
    body = {"error": {"message": "{provider} {0} %s {code.__class__}"}}
    found = of_status(400, {}, body).named(provider="openrouter")
    assert found.detail == "openrouter does not accept this request: {provider} {0} %s {code.__class__}."


@pytest.mark.parametrize(
    ("made", "detail"),
    [
        (
            of_refusal("IMAGE_SAFETY"),
            "openrouter refused this prompt or image (IMAGE_SAFETY). Change it and try again.",
        ),
        (of_silence("I can't."), "The model answered without an image. It said: I can't."),
        (of_silence(""), "The model answered without an image."),
    ],
    ids=["refusal", "said", "silence"],
)
def test_what_a_model_says_becomes_a_sentence(made: ProviderError, detail: str) -> None:
    assert made.named(provider="openrouter").detail == detail
