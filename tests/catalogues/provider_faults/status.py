"""Rows P24 to P42: statuses."""

from dataclasses import replace

from tests.catalogues.provider_faults.expectation import (
    ASKED_TO_WAIT_TOO_LONG,
    INTERRUPTED,
    ITS_OWN,
    REJECTED,
    SHRUNK,
    THROTTLED,
    TIMED_OUT,
    TOO_MUCH,
    TRANSIENT,
    UNUSABLE,
    Expect,
    Variants,
    same,
)

BUSY = Expect(manner=THROTTLED, code="provider_rate_limited")
TOO_LONG = Expect(manner=ASKED_TO_WAIT_TOO_LONG, code="provider_rate_limited")
FAILING = Expect(manner=ITS_OWN, code="provider_error")
BILLED = Expect(manner=INTERRUPTED, code="provider_error")  # or it may be
DOWN = Expect(manner=TRANSIENT, code="provider_down")
GAVE_UP = Expect(manner=TIMED_OUT, code="provider_down")
NO_KEY = Expect(manner=UNUSABLE, code="provider_auth")
NO_CREDIT = Expect(manner=UNUSABLE, code="provider_credits")
REFUSED = Expect(manner=REJECTED, code="content_refused")
REFUSED_SAFELY = Expect(manner=REJECTED, code="content_refused", said="rejected as a result of our safety system")
FORBIDDEN = Expect(manner=UNUSABLE, code="provider_forbidden")
NO_MODEL = Expect(manner=UNUSABLE, code="bad_model", said="openai/gpt-5.4-image-2")
EXCLUDED = Expect(manner=UNUSABLE, code="model_excluded", said="data policy")
NOT_SO = Expect(manner=TOO_MUCH, code="bad_parameters")
HEAVY = Expect(manner=SHRUNK, code="reference_too_large", request={"reference_images": ["large.png"]})
REDIRECTED = Expect(manner=UNUSABLE, code="bad_api_base", visits=0)
HOPELESS = Expect(manner=UNUSABLE, code="provider_error")


def busy_for(seconds: float, code: str = "provider_rate_limited") -> Expect:
    """Expect that a provider gets the time it asks for; the clocks of a date have whole seconds only."""
    return Expect(manner=THROTTLED, code=code, waits_s=seconds)


STATUS: dict[str, Variants] = {
    "P24": {"two_seconds": busy_for(2), "capacity_exhausted": busy_for(1), **same(BUSY, "no_header", "html", "empty")},
    "P25": {
        "date": busy_for(1.9),
        "two_headers": busy_for(3),
        "fraction": busy_for(1.5),
        **same(BUSY, "past_date", "zero", "negative", "soon", "empty", "old_date", "not_a_number"),
    },
    "P26": same(TOO_LONG, "a_day", "exponent", "infinity", "digits", "far_date", "year_9999"),
    "P28": {
        **same(FAILING, "server", "unmapped", "empty", "text", "wrong_types"),
        "billed": BILLED,
        **same(
            replace(BILLED, where="hub"), "hub_server", "hub_unmapped", "hub_text", "hub_in_200", "hub_asks_to_wait"
        ),
    },
    "P29": {**same(DOWN, "502", "503", "529"), **same(GAVE_UP, "504", "524"), "520": FAILING},
    "P30": {
        **same(busy_for(2, "provider_down"), "two_seconds", "html"),
        "date": busy_for(1.9, "provider_down"),
        "availability": busy_for(1, "provider_down"),
    },
    "P32": same(Expect(manner=TRANSIENT, code="provider_timeout"), "408", "425", "409"),
    "P33": same(NO_KEY, "invalid_key", "html", "empty"),
    "P34": {**same(NO_CREDIT, "credits", "negative_balance"), "in_flight_budget": busy_for(1)},
    "P35": {
        **same(REFUSED, "moderation", "guardrail", "content_policy", "refusal", "inspection", "sensitive_output"),
        **same(REFUSED_SAFELY, "raw_text", "raw_object", "raw_words", "safety_words"),
        **same(REFUSED, "raw_cut", "raw_in_502", "raw_sensitive", "raw_minimax"),
    },
    "P36": {**same(FORBIDDEN, "permission", "region", "html"), **same(NO_CREDIT, "key_limit", "guardrail_budget")},
    "P37": {
        **same(NO_MODEL, "model_id", "model_not_found", "no_endpoints", "model_deprecated", "html"),
        "modalities": replace(NO_MODEL, posts=2),  # asked for in the other way, too
        **same(EXCLUDED, "data_policy", "guardrails", "privacy"),
        "no_image_input": Expect(manner=UNUSABLE, code="references_not_taken"),
    },
    "P38": {
        "raw_size": Expect(manner=TOO_MUCH, code="bad_parameters", said="The size is not supported by the upstream"),
        **same(NOT_SO, "size", "ratio", "references", "prompt_long", "bad_reference", "detail_list"),
    },
    "P39": same(HEAVY, "json", "html", "early"),
    "P40": {
        **same(REDIRECTED, "301", "302", "303", "307", "308"),
        **same(REDIRECTED, "other_name", "relative", "no_location", "not_an_address"),
    },
    "P42": {**same(HOPELESS, "451", "410", "418", "501", "405", "406", "426", "444", "499"), "599": FAILING},
}
