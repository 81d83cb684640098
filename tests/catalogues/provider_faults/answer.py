"""Rows P43 to P56: what stands in a 200."""

from tests.catalogues.provider_faults.expectation import (
    INTERRUPTED,
    ITS_OWN,
    REJECTED,
    THROTTLED,
    TOO_MUCH,
    TRANSIENT,
    UNUSABLE,
    Expect,
    same,
)
from tests.catalogues.provider_faults.expectation import Variants as Variants
from tests.catalogues.provider_faults.status import (
    BUSY,
    DOWN,
    FAILING,
    FORBIDDEN,
    NO_CREDIT,
    NO_KEY,
    NOT_SO,
    REFUSED,
    REFUSED_SAFELY,
    busy_for,
)
from tests.catalogues.provider_faults.wire import CUT_OFF, TOO_SLOW, UNREADABLE

NO_IMAGE = Expect(manner=INTERRUPTED, code="no_image")
TOO_LARGE = Expect(manner=TOO_MUCH, code="answer_too_large")
ENCODED = Expect(manner=UNUSABLE, code="answer_encoded")
WORDS = "It said: I'm sorry, I can't create that image."


def repeated(text: str) -> Variants:
    """Expect what becomes of a provider's words, by the way in which they reach us."""
    return {
        f"{text}_in_400": Expect(manner=TOO_MUCH, code="bad_parameters"),
        f"{text}_in_401": Expect(manner=UNUSABLE, code="provider_auth"),
        f"{text}_in_500": Expect(manner=ITS_OWN, code="provider_error"),
        f"{text}_in_200": Expect(manner=TRANSIENT, code="provider_down"),
        f"{text}_in_words": Expect(manner=INTERRUPTED, code="no_image"),
        f"{text}_in_a_page": Expect(manner=TRANSIENT, code="provider_down"),
    }


ANSWER: dict[str, Variants] = {
    "P43": {
        **same(BUSY, "429", "error_code_text"),
        **same(DOWN, "502", "503"),
        **same(FAILING, "500", "error_text", "error_list"),
        "400": NOT_SO,
        "401": NO_KEY,
        "402": NO_CREDIT,
        "403": FORBIDDEN,
        "408": Expect(manner=TRANSIENT, code="provider_timeout"),
        "error_without_code": busy_for(1, "provider_down"),
        "error_empty": UNREADABLE,
    },
    "P44": {
        "error_choice": Expect(manner=INTERRUPTED, code="provider_down"),  # these tell a cost
        "error_choice_429": Expect(manner=THROTTLED, code="provider_rate_limited"),
        "error_choice_400": Expect(manner=REJECTED, code="content_refused"),
        **same(Expect(manner=INTERRUPTED, code="provider_error"), "error_without_details", "error_beside_text"),
    },
    "P45": {
        **same(NO_IMAGE, "no_choices", "no_images", "empty_images", "null_message"),
        **same(NO_IMAGE, "no_image_reason", "unbelievable_cost"),
        **same(UNREADABLE, "null_choices", "missing_choices"),  # as P48
    },
    "P46": {
        "words": Expect(manner=INTERRUPTED, code="no_image", said=WORDS),
        **same(NO_IMAGE, "many_words", "blank", "link_in_words"),
    },
    "P47": {
        **same(REFUSED, "content_filter", "block_reason", "image_safety", "prohibited_content", "moderation_in_200"),
        **same(REFUSED, "image_prohibited_content", "recitation", "image_recitation", "blocklist", "spii"),
        "refusal_message": Expect(manner=REJECTED, code="content_refused", said="I cannot help with that."),
        **same(REFUSED_SAFELY, "safety_words_said", "raw_in_200"),
    },
    "P48": {
        **same(UNREADABLE, "null_images", "string_images", "number_images", "object_images", "strings_in_images"),
        **same(UNREADABLE, "nulls_in_images", "lists_in_images", "number_url", "null_url", "list_url", "empty_url"),
        **same(UNREADABLE, "string_choices", "number_choices", "object_choices", "strings_in_choices"),
        **same(UNREADABLE, "string_message", "list_message"),
    },
    "P49": {
        **same(UNREADABLE, "html", "empty", "html_as_json", "whitespace", "no_content", "picture"),
        **same(UNREADABLE, "null", "array", "array_of_good", "string", "number", "true", "empty_object"),
        "utf_16": UNREADABLE,
        **same(Expect(), "text_plain", "octet_stream", "html_label", "no_type", "byte_order_mark"),
    },
    "P50": {**same(CUT_OFF, "half", "no_last_brace", "one_byte"), **same(UNREADABLE, "two_documents", "tail")},
    "P51": {
        **same(Expect(), "duplicate_keys", "nul_in_text"),
        **same(UNREADABLE, "nan", "infinity", "huge_float", "long_int", "deep_arrays", "deep_objects", "deep_open"),
        **same(UNREADABLE, "lone_surrogate", "raw_control", "bad_utf_8", "single_quotes", "bomb"),
    },
    "P53": same(TOO_LARGE, "100_mb", "100_mb_in_chunks", "endless", "endless_until_close", "petabyte"),
    "P54": {
        **same(ENCODED, "gzip_bomb", "gzip", "deflate", "zstd", "deflate_bomb", "gzip_of_gzip"),
        **same(ENCODED, "gzip_of_gzip_unsaid", "gzip_of_gzip_bomb", "brotli_bomb", "zstd_bomb"),
        **same(ENCODED, "says_gzip", "says_brotli", "unknown", "gzip_cut", "many_layers"),
        "says_nothing": UNREADABLE,
    },
    "P55": {
        **same(Expect(), "event_stream", "event_stream_as_json", "event_stream_in_pieces", "words_in_pieces"),
        "dripped_events": Expect(),
        **same(Expect(), "comments", "blank_lines", "dripped_comments", "dripped_blanks"),
        "blanks_for_ever": TOO_SLOW,
    },
    "P56": {**repeated("secrets"), **repeated("ansi"), **repeated("html"), **repeated("long")},
}
