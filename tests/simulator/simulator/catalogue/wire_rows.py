"""The catalogue's rows P04 to P23: connections, pace and framing."""

from simulator.catalogue.script import Step


def framed(*names: str, end: str = "fin") -> dict[str, Step]:
    """Return a variant for each frame."""
    return {name: Step("frame", {"frame": name, "end": end}) for name in names}


CONNECT: dict[str, dict[str, Step]] = {
    "P04": {
        "fin": Step("close"),
        "rst": Step("close", {"end": "rst"}),
        "rst_during_upload": Step("cut_upload"),
        "fin_during_upload": Step("cut_upload", {"end": "fin"}),
    },
    "P05": {
        "reuse": Step("stale", {"when": "reuse"}),
        "idle": Step("stale", {"when": "idle"}),
        "reuse_after_success": Step("stale", {"when": "reuse", "status": 200}),
        "idle_after_success": Step("stale", {"when": "idle", "status": 200}),
    },
}
SLOW: dict[str, dict[str, Step]] = {
    "P08": {"headers_after_10_s": Step("slow", {"seconds": 10})},
    "P09": {"no_headers": Step("hang")},
    "P10": {"dripped_headers": Step("drip_headers", {"every": 0.4})},
    "P11": {"dripped_body": Step("drip", {"every": 0.4}), "slow_body": Step("drip", {"every": 0.4, "bytes": 100})},
    "P12": {"no_body": Step("silence"), "half_a_body": Step("silence", {"share": 0.5})},
    "P14": {"never_read": Step("never_read"), "slowly_read": Step("read_slowly", {"every": 0.4, "bytes": 1024})},
}
BROKEN: dict[str, dict[str, Step]] = {
    "P15": {"mid_body": Step("reset"), "mid_chunk": Step("reset", {"chunked": True})},
    "P16": framed("length_too_large", "length_half", "length_no_body", "length_too_small"),
    "P17": framed(
        "no_final_chunk",
        "half_a_chunk",
        "chunk_size_text",
        "chunk_size_negative",
        "chunk_size_huge",
        "chunk_size_too_small",
    ),
    "P18": framed("trailer_no_colon", "trailer_nul", "trailer_endless_line"),
    "P20": framed("http_1_0", "no_length"),
    "P21": {
        **framed("garbage", "no_status_line", "ssh_banner", "http_0_9"),
        **framed("status_word", "status_four_digits", "version_nine"),
        "status_999": Step("status", {"status": 999}),
        "status_099": Step("status", {"status": 99}),
        **framed("interim_flood", "switching_protocols"),
        "interim_endless": Step("interim"),
        "no_continue": Step("never_read"),
    },
    "P22": framed(
        "huge_line",
        "many_lines",
        "nul_header",
        "bare_cr_header",
        "header_no_colon",
        "header_space_name",
        "header_folded",
        "header_not_ascii",
        "two_lengths",
        "length_and_chunks",
        "length_negative",
        "unknown_transfer",
    ),
    "P23": framed("http2_goaway", "http2_rst_stream", "http2_goaway_in_body"),
}
