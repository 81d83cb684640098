"""Groups http, auth, idem and browser as far as one request tells: who is calling, and from where."""

from __future__ import annotations

import json

from tests.catalogues.bad_input.case import FOX, JSON, Case

BODY = json.dumps(FOX).encode()
FORMS = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp")
IDS = ("1", "2", "0" * 8_000, "*", "%2a", "{x}", "[a-z]", "a:b", "..%00", "%ff", "ID:events", "ID%0a", "%20ID", "ID%00")
FOREIGN = (
    "https://evil.com",
    "null",
    "http://localhost.evil.com",
    "https://good.example.evil.com",
    "http://localhost:1",
)
PACKED = ("gzip", "br", "identity, gzip")
MISSING = "/v1/jobs/00000000-0000-4000-8000-000000000000"
GUESSED = "expires=99999999999&signature=" + "0" * 64


def submit(row: str, what: str, status: int, code: str, *, who: str = "ann", **headers: str) -> Case:
    """Hand in a good job with bad headers."""
    sent = JSON | {name.replace("_", "-"): value for name, value in headers.items()}
    return Case(row=row, what=what, status=status, code=code, who=who, headers=sent, body=BODY)


def look(row: str, what: str, status: int, code: str, path: str, *, who: str = "ann", method: str = "GET") -> Case:
    """Ask for what is not there, or not for everybody."""
    return Case(row=row, what=what, status=status, code=code, method=method, path=path, who=who)


def unknown(token: str) -> Case:
    """Show a token that is none."""
    return submit("B49", f"{token[:20]!a}", 401, "unauthorized", who="", Authorization=token)


HTTP = [
    *(submit("B32", kind, 415, "unsupported_media_type", Content_Type=kind) for kind in FORMS),
    Case(row="B32", what="missing", status=415, code="unsupported_media_type", body=BODY),
    *(submit("B34", kind, 415, "unsupported_encoding", Content_Encoding=kind) for kind in PACKED),
]  # fmt: skip
AUTH = [
    submit("B48", "nothing", 401, "unauthorized", who=""),
    submit("B48", "basic", 401, "unauthorized", who="", Authorization="Basic YW5uOmFubg=="),
    submit("B48", "cookie", 401, "unauthorized", who="", Cookie="token=dk_canary; session=canary"),
    *map(unknown, ("Bearer dk_canary", "Bearer", "dk_canary", "Bearer dk_" + "x" * 10_000, "Bearer dk_x dk_y")),
    look("B49", "in the address", 401, "unauthorized", "/v1/jobs?token=TOKEN&access_token=TOKEN&api_key=TOKEN", who=""),
    submit("B50", "expired", 401, "unauthorized", who="late"),
    submit("B50", "only reads", 403, "forbidden", who="reader"),
    look("B50", "only reads, deletes", 403, "forbidden", "/v1/jobs/ID", who="reader", method="DELETE"),
    look("B50", "only reads, cancels", 403, "forbidden", "/v1/jobs/ID/cancel", who="reader", method="POST"),
]  # fmt: skip
TENANT = [
    *(look("B54", f"{text[:20]}", 404, "job_not_found", f"/v1/jobs/{text}") for text in IDS),
    look("B54", "10 kB", 414, "url_invalid", "/v1/jobs/" + "0" * 10_000),
    look("B54", "image", 404, "artifact_not_found", "/v1/artifacts/img_*"),
    look("B54", "sidecar", 404, "artifact_not_found", "/v1/artifacts/..%00/sidecar"),
    look("B55", "image without a token", 401, "unauthorized", "/v1/artifacts/IMAGE", who=""),
    look("B55", "guessed", 403, "link_expired", f"/v1/artifacts/IMAGE?{GUESSED}", who=""),
    look("B55", "signature of nothing", 403, "link_expired", "/v1/artifacts/IMAGE?signature=", who=""),
    look("B55", "odd signature", 403, "link_expired", "/v1/artifacts/IMAGE?expires=1&signature=%C3%A9", who=""),
]  # fmt: skip
IDEM = [
    submit("B60", "empty", 400, "idempotency_key_invalid", Idempotency_Key=""),
    submit("B60", "256 characters", 400, "idempotency_key_invalid", Idempotency_Key="k" * 256),
    submit("B60", "tab", 400, "idempotency_key_invalid", Idempotency_Key="k\tk"),
]
STATE = [
    look("B63", "cancel unknown", 404, "job_not_found", MISSING + "/cancel", method="POST"),
    look("B63", "cancel finished", 409, "job_already_finished", "/v1/jobs/ID/cancel", method="POST"),
]  # fmt: skip
BROWSER = [
    *(submit("B67", origin, 403, "origin_not_allowed", Origin=origin) for origin in FOREIGN),
    *(submit("B68", site, 403, "csrf_rejected", Sec_Fetch_Site=site) for site in ("cross-site", "same-site", "junk")),
    submit("B68", "form", 415, "unsupported_media_type", Content_Type="text/plain", Sec_Fetch_Site="same-origin"),
    look("B68", "image tag", 405, "method_not_allowed", "/v1/jobs/ID/cancel"),
    look("B68", "image tag to a retry", 405, "method_not_allowed", "/v1/jobs/ID/retry"),
]
STRANGERS = [*HTTP, *AUTH, *TENANT, *IDEM, *STATE, *BROWSER]
