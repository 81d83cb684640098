"""Groups prompt, number, size, fields and json: what a request says."""

from __future__ import annotations

from typing import Any

from tests.catalogues.bad_input.case import job, raw

MANY: dict[str, Any] = {f"key_{number}": 1 for number in range(10_000)}
NOBODYS = ("owner", "job_id", "state", "fence", "api_key", "extra_body", "api_base", "proxy")

BLANK = ("", " \t\n ", "\u200b\u200d\ufeff")
PROMPT = [
    raw("B15", "missing", b'{"count": 1}', "prompt_required", status=422),
    *(job("B15", f"{text!a}", "prompt_required", "#/prompt", prompt=text) for text in BLANK),
    job("B15", "null", "prompt_required", "#/prompt", prompt=None),
    job("B16", "32,001 characters", "prompt_too_long", "#/prompt", prompt="x" * 32_001),
    job("B16", "1 MB", "prompt_too_long", "#/prompt", prompt="x" * 10**6),
    raw("B16", "3 MB", b'{"prompt":"' + b"x" * 3 * 2**20, "body_too_large", status=413),
    job("B17", "NUL", "prompt_invalid_characters", "#/prompt", prompt="canary\0fox"),
    raw("B19", "lone surrogate", b'{"prompt": "\\ud800"}'),
    raw("B19", "invalid UTF-8", b'{"prompt": "\xff\xfe"}'),
    raw("B19", "overlong UTF-8", b'{"prompt": "\xc0\xaf"}'),
]  # fmt: skip
NUMBER = [
    *(job("B21", f"count {n}", "count_out_of_range", "#/count", count=n) for n in (0, -1, 9, 10**9, 10**20 - 1)),
    *(job("B22", f"count {n!r}", "type_error", "#/count", count=n) for n in ("4", True, 4.5, None, [4])),
    raw("B22", "count 4.0", b'{"prompt": "fox", "count": 4.0}', "type_error", status=422),
    raw("B22", "count 1e0", b'{"prompt": "fox", "count": 1e0}', "type_error", status=422),
    raw("B22", "count NaN", b'{"prompt": "fox", "count": NaN}'),  # no JSON at all: as B30 has it
]
SIZE = [
    *(
        job("B23", f"ratio {ratio!a}", "aspect_ratio_invalid", "#/aspect_ratio", aspect_ratio=ratio)
        for ratio in ("16:0", "0:1", "-1:1", "16x9", "999:1", "１６：９", "1:1\n", "")
    ),
    *(
        job("B24", f"size {size!a}", "image_size_invalid", "#/image_size", image_size=size)
        for size in ("0x0", "99999x99999", "1x1", "1e3x1", "8K", "-1", "１K", "1K\n")
    ),
]
FIELDS = [
    job("B26", "unknown", "unknown_field", "#/sparkle", sparkle="canary-value"),
    job("B26", "misspelt", "unknown_field", "#/refrence_images", refrence_images=["canary-value"]),
    job("B26", "__proto__", "unknown_field", "#/__proto__", __proto__={"admin": "canary-value"}),
    job("B26", "constructor", "unknown_field", "#/constructor", constructor="canary-value"),
    job("B26", "10,000 keys", "unknown_field", "#/key_0", **MANY),
    job("B26", "odd key", "unknown_field", **{"<script>canary</script>/~": "canary-value"}),
    *(job("B27", name, "unknown_field", f"#/{name}", **{name: "canary-value"}) for name in NOBODYS),
    job("B28", "provider", "unknown_provider", "#/provider", provider="canary-provider"),
    job("B28", "provider with a newline", "unknown_provider", "#/provider", provider="open\nrouter"),
    job("B28", "model", "unknown_model", "#/model", model="canary/model"),
    job("B28", "model with ..", "unknown_model", "#/model", model="../canary/model"),
    job("B28", "model with a newline", "unknown_model", "#/model", model="canary\nmodel"),
    job("B28", "model of 1,000 characters", "unknown_model", "#/model", model="m" * 1000),
]
DOCUMENTS = [
    *(
        raw("B29", what, body)
        for what, body in {
            "malformed": b'{"prompt": "canary',
            "trailing bytes": b'{"prompt": "fox"} x',
            "two documents": b'{"prompt": "fox"}{"prompt": "fox"}',
            "empty": b"",
            "byte order mark": b'\xef\xbb\xbf{"prompt": "fox"}',
            "comment": b'{"prompt": "fox" /* canary */}',
            "single quotes": b"{'prompt': 'fox'}",
            "UTF-16": '{"prompt": "fox"}'.encode("utf-16"),
        }.items()
    ),
    *(
        raw("B30", what, b'{"prompt": "fox", "count": %b}' % value)
        for what, value in {
            "depth 100,000": b"[" * 100_000 + b"]" * 100_000,
            "depth 100,000 of objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
            "10,000 digits": b"9" * 10_000,
            "NaN": b"NaN",
            "1e400": b"1e400",
            "-Infinity": b"-Infinity",
        }.items()
    ),
    raw("B30", "duplicate key", b'{"prompt": "fox", "prompt": "cat"}', "json_duplicate_key"),
    raw("B30", "duplicate key, escaped", b'{"prompt": "fox", "\\u0070rompt": "cat"}', "json_duplicate_key"),
    *(
        raw("B31", what, body, "type_error", status=422)
        for what, body in {"list": b'[{"prompt": "fox"}]', "string": b'"fox"', "number": b"4", "null": b"null"}.items()
    ),
]
WEBHOOK = [
    *(
        job("B81", what, "webhook_url_forbidden", webhook_url=url)
        for what, url in {
            "http": "http://canary.example/hook",
            "localhost": "https://localhost/hook",
            "private": "https://10.0.0.1/canary",
            "link-local": "https://169.254.169.254/latest",
            "NAT64": "https://[64:ff9b::a9fe:a9fe]/canary",
            "6to4": "https://[2002:7f00:1::]/canary",
            "mapped": "https://[::ffff:127.0.0.1]/canary",
            "decimal": "https://2130706433/canary",
            "port 22": "https://canary.example:22/",
            "port 6379": "https://canary.example:6379/",
            "userinfo": "https://user:canary@canary.example/",
            "10 kB": "https://canary.example/" + "x" * 10_000,
            "file": "file:///etc/passwd",
            "newline": "https://canary.example/\nhook",
            "empty": "",
        }.items()
    ),
    *(
        job("B83", what, "webhook_secret_invalid", webhook_url="https://canary.example/", webhook_secret=secret)
        for what, secret in {
            "too short": "whsec_Y2FuYXJ5",
            "not base64": "whsec_canary!canary!canary!canary!",
            "without its prefix": "Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5",
            "newline": "whsec_Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5\r\nX: y",
        }.items()
    ),
    job("B83", "headers", "unknown_field", webhook_headers={"Authorization": "canary-value"}),
]
REQUESTS = [*PROMPT, *NUMBER, *SIZE, *FIELDS, *DOCUMENTS, *WEBHOOK]
