"""Rows P01 to P23: connections, TLS, pace and framing."""

from tests.catalogues.provider_faults.expectation import (
    INTERRUPTED,
    TIMED_OUT,
    TRANSIENT,
    UNUSABLE,
    Expect,
    Variants,
    same,
)

UNREACHABLE = Expect(manner=TRANSIENT, code="provider_unreachable")
BEHIND_A_DOOR = Expect(manner=TRANSIENT, code="provider_unreachable", where="door")
NOT_SECURE = Expect(manner=UNUSABLE, code="provider_tls_failed", where="door")
TOO_SLOW = Expect(manner=TIMED_OUT, code="provider_timeout", where="swift")
CUT_OFF = Expect(manner=INTERRUPTED, code="provider_interrupted")
UNREADABLE = Expect(manner=INTERRUPTED, code="provider_bad_answer")
BLOCKED = Expect(manner=TRANSIENT, code="provider_timeout", where="upload", request={"reference_images": ["large.png"]})

WIRE: dict[str, Variants] = {
    "P01": same(BEHIND_A_DOOR, "nxdomain", "servfail"),
    "P02": same(BEHIND_A_DOOR, "refused"),
    "P03": same(BEHIND_A_DOOR, "never_accepts"),
    "P04": {
        **same(BEHIND_A_DOOR, "accept_and_close", "accept_and_reset"),
        **same(UNREACHABLE, "fin", "rst", "rst_during_upload", "fin_during_upload"),
    },
    "P05": {
        **same(Expect(manner=TRANSIENT, code="provider_down"), "reuse", "idle"),
        **same(Expect(), "reuse_after_success", "idle_after_success"),
    },
    "P06": same(NOT_SECURE, "expired", "wrong_host", "foreign", "self_signed"),
    "P07": same(BEHIND_A_DOOR, "never_handshakes", "tls_alert", "plain_http"),
    "P08": {"headers_after_10_s": Expect(step={"seconds": 1})},
    "P09": {"no_headers": TOO_SLOW},
    "P10": {"dripped_headers": TOO_SLOW},
    "P11": same(TOO_SLOW, "dripped_body", "slow_body"),
    "P12": same(TOO_SLOW, "no_body", "half_a_body"),
    "P14": same(BLOCKED, "never_read", "slowly_read"),
    "P15": same(CUT_OFF, "mid_body", "mid_chunk"),
    "P16": same(CUT_OFF, "length_too_large", "length_half", "length_no_body", "length_too_small"),
    "P17": {
        **same(CUT_OFF, "no_final_chunk", "half_a_chunk", "chunk_size_text"),
        **same(CUT_OFF, "chunk_size_negative", "chunk_size_huge", "chunk_size_too_small"),
    },
    "P18": same(CUT_OFF, "trailer_no_colon", "trailer_nul", "trailer_endless_line"),
    "P20": same(Expect(), "http_1_0", "no_length"),
    "P21": {
        "banner": Expect(manner=INTERRUPTED, code="provider_bad_answer", where="door"),
        **same(UNREADABLE, "garbage", "no_status_line", "ssh_banner", "http_0_9"),
        **same(UNREADABLE, "status_word", "status_four_digits", "status_999", "status_099", "switching_protocols"),
        **same(Expect(), "version_nine", "interim_flood"),  # h11 reads past them to a good answer: it is taken
        **same(TOO_SLOW, "interim_endless", "no_continue"),
    },
    "P22": {
        **same(Expect(), "many_lines", "header_folded", "header_not_ascii", "length_and_chunks"),  # h11 reads them
        **same(UNREADABLE, "huge_line", "nul_header", "bare_cr_header", "header_no_colon", "header_space_name"),
        **same(UNREADABLE, "two_lengths", "length_negative", "unknown_transfer"),
    },
    "P23": {**same(UNREADABLE, "http2_goaway", "http2_rst_stream"), "http2_goaway_in_body": CUT_OFF},
}
