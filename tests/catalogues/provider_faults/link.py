"""Rows P71 to P79, P84 and P85: links, downloads, polls, and neighbours' headers; P76 is made by the name server."""

from collections.abc import Mapping

from tests.catalogues.provider_faults.expectation import (
    GONE,
    INTERRUPTED,
    NOT_FETCHED,
    REJECTED,
    TIMED_OUT,
    TOO_MUCH,
    UNUSABLE,
    Expect,
    Manner,
    Variants,
    same,
)

# A picture that cannot be fetched is tried until the deadline.
LIMITS: dict[Manner, Mapping[str, object]] = {
    TIMED_OUT: {"attempt_timeout_seconds": 3.0},
    NOT_FETCHED: {"deadline_seconds": 8.0},
}


def linked(expect: Expect, visits: int | None = None) -> Expect:
    """Expect something in a Darkroom on the Internet."""
    return Expect(
        manner=expect.manner,
        code=expect.code,
        where="internet",
        visits=visits,
        request=LIMITS[NOT_FETCHED] if expect.manner is NOT_FETCHED else {},
    )


def polled(expect: Expect, visits: int | None = None) -> Expect:
    """Expect something of a provider that answers later; there the lower rung is a lower quality."""
    return Expect(
        manner=expect.manner,
        code=expect.code,
        where="hub",
        visits=visits,
        request=LIMITS.get(expect.manner, {}),
    )


UNSAFE = linked(Expect(manner=UNUSABLE, code="unsafe_url"), visits=0)
LED_ASTRAY = linked(Expect(manner=UNUSABLE, code="unsafe_url"), visits=1)
EXPIRED = Expect(manner=GONE, code="result_expired")
UNREACHABLE = Expect(manner=NOT_FETCHED, code="result_unreachable")
FAILED = Expect(manner=INTERRUPTED, code="provider_error")
TOO_SLOW = Expect(manner=TIMED_OUT, code="provider_timeout")
TOO_LARGE = Expect(manner=TOO_MUCH, code="answer_too_large")

LINK: dict[str, Variants] = {
    "P71": {
        "good": linked(Expect(), visits=1),
        **same(linked(Expect(), visits=1), "part_image_url", "part_image_url_text", "part_output_image", "part_image"),
        **same(linked(Expect(), visits=1), "part_markdown", "markdown", "markdown_in_angles", "html", "alone"),
    },
    "P72": {
        **same(linked(EXPIRED, visits=3), "404", "403", "410"),
        "404_once": linked(Expect(), visits=2),
        "503_twice": linked(Expect(), visits=3),
        "503_long": linked(Expect(), visits=10),
        **same(linked(UNREACHABLE), "503", "401"),
    },
    "P73": {
        **same(linked(UNREACHABLE), "drip", "hang", "petabyte", "cut", "reset", "page"),
        "endless": linked(TOO_LARGE, visits=1),
        "reset_once": linked(Expect(), visits=2),
        "page_twice": linked(Expect(), visits=3),
        **same(linked(Expect(), visits=1), "wrong_type", "octets"),
    },
    "P74": {
        "three_hops": linked(Expect(), visits=4),
        "six_hops": linked(Expect(manner=UNUSABLE, code="unsafe_url"), visits=6),
        **same(LED_ASTRAY, "loop", "downgrade", "no_location", "to_metadata", "to_file", "to_self", "to_userinfo"),
    },
    "P75": {
        **same(UNSAFE, "metadata", "loopback", "localhost", "localhost_dot", "ipv6_loopback", "private_10"),
        **same(UNSAFE, "private_192", "alibaba_metadata", "mapped", "nat64", "six_to_four", "hexadecimal"),
        **same(UNSAFE, "decimal", "octal", "circled", "zero", "own_port"),
        **same(UNSAFE, "shown_in_words", "shown_in_a_part"),
    },
    "P76": {
        "rebinding": linked(Expect(), visits=1),
        **same(UNSAFE, "private_name", "public_and_private", "public_and_private_ipv6"),
    },
    "P77": {
        **same(UNSAFE, "file", "ftp", "gopher", "javascript", "backslashes", "userinfo", "port_22", "port_6379"),
        **same(UNSAFE, "port_25", "port_99999", "homograph", "long", "newline", "no_host"),
        "huge_data": linked(TOO_LARGE, visits=0),  # before it can be seen to be a link
        "blank": linked(Expect(manner=INTERRUPTED, code="provider_bad_answer"), visits=0),
        "relative": linked(Expect(manner=INTERRUPTED, code="bad_image"), visits=0),  # what it is as base64
    },
    "P79": {
        **same(polled(TOO_SLOW), "processing", "unknown_status_for_ever"),
        **same(polled(Expect()), "backwards", "unknown_status", "id_changes", "completed", "ready_with_link"),
        **same(polled(Expect(), visits=3), "429", "503", "500"),
        "503_long": polled(Expect(), visits=10),
        "504_once": polled(Expect(), visits=2),
        **same(polled(Expect()), "500_with_a_poll", "504_with_a_poll"),
        **same(polled(UNREACHABLE), "503_for_ever", "401_for_ever", "reset", "hang", "page", "wrong_types"),
        **same(polled(FAILED), "failed", "canceled", "output_failed", "data_failed"),
        **same(polled(EXPIRED), "404", "not_found", "expired", "empty"),
        "moderated": polled(Expect(manner=REJECTED, code="content_refused")),
    },
    "P84": {"mix_up": Expect()},  # cannot be seen
    "P85": {"headers": Expect()},
}
