"""The catalogue's rows P43 to P69: what stands in a 200, and what stands in its pictures."""

from simulator.catalogue.script import Step
from simulator.pictures.corpus import ROWS
from simulator.providers.openrouter_shapes import PLACES
from simulator.providers.spelling import PREFIXES, READABLE, UNREADABLE
from simulator.server.encodings import ENCODINGS

SECRETS = "Key {key} was refused for: {prompt}"
ANSI = "\x1b[31mRed\x1b[0m \x1b]0;title\x07 \x1b[2J\u202egnp.exe\u202c bell\x07"
MARKUP = "<script>alert(1)</script><img src=x onerror=alert(2)> [a](javascript:alert(3))"
MERE_LINKS = (
    "See [my fox](https://example.com/fox.png), https://example.com/a.png or `![a](https://example.com/b.png)`."
)
LONG = "All work and no play. " * 48_000


def shaped(*names: str) -> dict[str, Step]:
    """Return a variant for each odd shape of a dialect."""
    return {name: Step("shape", {"shape": name}) for name in names}


def bodied(*names: str) -> dict[str, Step]:
    """Return a variant for each odd body."""
    return {name: Step("body", {"body": name}) for name in names}


def pictured(*names: str, **more: object) -> dict[str, Step]:
    """Return a variant for each picture of the corpus."""
    return {name: Step("ok", {"specimen": name, **more}) for name in names}


def said(text: str) -> dict[str, Step]:
    """Return the ways in which a provider's words reach us."""
    return {
        "in_400": Step("status", {"status": 400, "message": text}),
        "in_401": Step("status", {"status": 401, "message": text}),
        "in_500": Step("status", {"status": 500, "message": text}),
        "in_200": Step("error_in_200", {"code": 502, "message": text}),
        "in_words": Step("no_image", {"text": text}),
        "in_a_page": Step("status", {"status": 502, "body": text}),
    }


def labelled(specimen: str, label: str) -> Step:
    """Return a picture under a wrong label."""
    return Step("ok", {"specimen": specimen, "label": label})


BODY: dict[str, dict[str, Step]] = {
    "P43": {
        **{str(code): Step("error_in_200", {"code": code}) for code in (429, 502, 400, 401, 402, 403, 408, 500, 503)},
        **shaped("error_text", "error_code_text", "error_without_code", "error_empty", "error_list"),
    },
    "P44": shaped("error_choice", "error_choice_429", "error_choice_400", "error_without_details", "error_beside_text"),
    "P45": shaped("no_choices", "null_choices", "missing_choices", "no_images", "empty_images", "null_message")
    | shaped("no_image_reason", "unbelievable_cost"),
    "P46": {
        "words": Step("no_image"),
        "many_words": Step("no_image", {"text": LONG}),
        "blank": Step("no_image", {"text": " \n"}),
        "link_in_words": Step("no_image", {"text": MERE_LINKS}),
    },
    "P47": {
        **shaped("content_filter", "block_reason", "image_safety", "prohibited_content", "moderation_in_200"),
        **shaped("image_prohibited_content", "recitation", "image_recitation", "blocklist", "spii"),
        **shaped("refusal_message", "safety_words_said", "raw_in_200"),
    },
    "P48": shaped(
        "null_images",
        "string_images",
        "number_images",
        "object_images",
        "strings_in_images",
        "nulls_in_images",
        "lists_in_images",
        "number_url",
        "null_url",
        "list_url",
        "empty_url",
        "string_choices",
        "number_choices",
        "object_choices",
        "strings_in_choices",
        "string_message",
        "list_message",
    ),
    "P49": {
        **bodied("html", "empty", "text_plain", "octet_stream", "html_label", "no_type", "html_as_json", "whitespace"),
        **bodied("null", "array", "array_of_good", "string", "number", "true", "empty_object", "picture"),
        **bodied("byte_order_mark", "utf_16"),
        "no_content": Step("status", {"status": 204, "body": ""}),
    },
    "P50": bodied("half", "no_last_brace", "one_byte", "two_documents", "tail"),
    "P51": {
        **bodied("duplicate_keys", "nan", "infinity", "huge_float", "long_int", "deep_arrays", "deep_objects"),
        **bodied("deep_open", "lone_surrogate", "nul_in_text", "raw_control", "bad_utf_8", "single_quotes", "bomb"),
    },
    "P53": {
        "100_mb": Step("flood", {"megabytes": 100, "framing": "length"}),
        "100_mb_in_chunks": Step("flood", {"megabytes": 100}),
        "endless": Step("flood"),
        "endless_until_close": Step("flood", {"framing": "close"}),
        "petabyte": Step("flood", {"framing": "length"}),
    },
    "P54": {name: Step("encoding", {"encoding": name}) for name in ["gzip_bomb", *ENCODINGS]},
    "P55": {
        **bodied("event_stream", "event_stream_as_json", "event_stream_in_pieces", "comments", "blank_lines"),
        "words_in_pieces": Step("body", {"body": "event_stream_in_pieces", "variant": "markdown"}),
        "dripped_comments": Step("keep_alive", {"text": ": OPENROUTER PROCESSING\n\n", "seconds": 2, "every": 0.2}),
        "dripped_events": Step(
            "keep_alive", {"text": ": OPENROUTER PROCESSING\n\n", "seconds": 2, "every": 0.2, "events": True}
        ),
        "dripped_blanks": Step("keep_alive", {"text": "\n         ", "seconds": 2, "every": 0.2}),
        "blanks_for_ever": Step("keep_alive", {"text": "\n         ", "seconds": 2, "every": 0.2, "never": True}),
    },
    "P56": {
        **{f"secrets_{way}": step for way, step in said(SECRETS).items()},
        **{f"ansi_{way}": step for way, step in said(ANSI).items()},
        **{f"html_{way}": step for way, step in said(MARKUP).items()},
        **{f"long_{way}": step for way, step in said(LONG).items()},
    },
}
PAYLOAD: dict[str, dict[str, Step]] = {
    "P57": {
        **{name: Step("ok", {"spelling": name}) for name in READABLE if name != "percent_bytes"},
        **{name: Step("ok", {"prefix": name}) for name in PREFIXES if name != "not_marked"},
        "percent_bytes": Step("ok", {"spelling": "percent_bytes", "prefix": "not_marked", "specimen": "good_jpeg"}),
        "unpadded": Step("ok", {"spelling": "unpadded", "specimen": "good_jpeg"}),
        **{name: Step("ok", {"variant": name}) for name in PLACES},
    },
    "P58": {**{name: Step("ok", {"spelling": name}) for name in UNREADABLE}, **pictured(*ROWS["P58"])},
    "P59": pictured(*ROWS["P59"], *ROWS["sloppy"]),
    "P60": {
        "webp_as_png": labelled("good_webp", "image/png"),
        "jpeg_as_png": labelled("good_jpeg", "image/png"),
        "gif_as_png": labelled("good_gif", "image/png"),
        "png_as_jpeg": labelled("good_png", "image/jpeg"),
        "png_as_svg": labelled("good_png", "image/svg+xml"),
        "png_as_html": labelled("good_png", "text/html"),
        "png_as_octets": labelled("good_png", "application/octet-stream"),
        "png_as_nonsense": labelled("good_png", "../../etc/passwd"),
    },
    **{row: pictured(*ROWS[row]) for row in ("P61", "P62", "P63", "P64", "P65", "P66", "P67")},
    "P68": {
        "two": Step("ok", {"images": 2}),
        "five": Step("ok", {"images": 5}),
        "one": Step("ok", {"images": 1}),
        "hundred": Step("ok", {"images": 100, "specimen": "good_png"}),
    },
    "P69": {
        "same": Step("ok", {"specimen": "good_png"}),
        "same_twice": Step("ok", {"specimen": "good_png", "images": 2}),
        **pictured(*ROWS["P69"]),
    },
}
