"""The catalogue's rows P24 to P42: statuses, with the headers and bodies that come with them."""

from simulator.catalogue.script import Step
from simulator.providers.bodies import PAGE

HTML = PAGE.decode()
DAY_S = 86_400


def status(number: int, failure: str = "", **more: object) -> Step:
    """Return a status with a named failure as its body."""
    return Step("status", {"status": number, **({"failure": failure} if failure else {}), **more})


def page(number: int) -> Step:
    """Return a status with a proxy's page as its body."""
    return status(number, body=HTML)


def throttled(*retry_after: str, number: int = 429) -> Step:
    """Return a 429 that says when to come back, perhaps twice."""
    return status(number, "rate_limit", headers={"Retry-After": list(retry_after)})


def redirect(number: int, location: str = "{url}/trap") -> Step:
    """Return a redirect of the call to an address that records whoever follows."""
    return status(number, headers={"Location": location}, body="")


STATUS: dict[str, dict[str, Step]] = {
    "P24": {
        "two_seconds": throttled("2"),
        "no_header": status(429, "rate_limit"),
        "capacity_exhausted": status(429, "capacity_exhausted"),
        "html": page(429),
        "empty": status(429, body=""),
    },
    "P25": {
        "date": status(429, "rate_limit", date_in=3),
        "past_date": status(429, "rate_limit", date_in=-60),
        "zero": throttled("0"),
        "negative": throttled("-1"),
        "soon": throttled("soon"),
        "two_headers": throttled("1", "3"),
        "empty": throttled(""),
        "fraction": throttled("1.5"),
        "old_date": throttled("Sunday, 06-Nov-94 08:49:37 GMT"),
        "not_a_number": throttled("nan"),
    },
    "P26": {
        "a_day": throttled(str(DAY_S)),
        "exponent": throttled("1e99"),
        "infinity": throttled("inf"),
        "digits": throttled("9" * 400),
        "far_date": status(429, "rate_limit", date_in=DAY_S),
        "year_9999": throttled("Fri, 31 Dec 9999 23:59:59 GMT"),
    },
    "P28": {
        "server": status(500, "server"),
        "unmapped": status(500, "unmapped"),
        "empty": status(500, body=""),
        "text": status(500, body="Internal Server Error"),
        "wrong_types": status(500, body={"error": [1, {"message": 7}]}),
        "billed": status(500, body={"error": {"code": 500, "message": "Stopped"}, "usage": {"cost": 0.04}}),
        **{f"hub_{name}": status(500, name) for name in ("server", "unmapped")},
        "hub_asks_to_wait": status(500, "server", headers={"Retry-After": "1"}),
        "hub_text": status(500, body="Internal Server Error"),
        "hub_in_200": Step("error_in_200", {"code": 500}),
    },
    "P29": {str(number): page(number) for number in (502, 503, 504, 520, 524, 529)},
    "P30": {
        "two_seconds": status(503, "overloaded", headers={"Retry-After": "2"}),
        "date": status(503, "overloaded", date_in=3),
        "availability": status(503, "temporarily_unavailable"),
        "html": status(503, body=HTML, headers={"Retry-After": "2"}),
    },
    "P32": {str(number): status(number) for number in (408, 425, 409)},
    "P33": {"invalid_key": status(401, "invalid_key"), "html": page(401), "empty": status(401, body="")},
    "P34": {
        "credits": status(402, "credits"),
        "negative_balance": status(402, "negative_balance"),
        "in_flight_budget": status(402, "in_flight_budget", headers={"Retry-After": "1"}),
    },
    "P35": {
        "moderation": status(403, "moderation"),
        "guardrail": status(403, "guardrail"),
        "content_policy": status(400, "content_policy"),
        "refusal": status(400, "refusal"),
        **{name: status(400, name) for name in ("raw_text", "raw_object", "raw_cut", "raw_words", "raw_sensitive")},
        "raw_in_502": status(502, "raw_in_502"),
        "raw_minimax": status(500, "raw_minimax"),
        **{name: status(400, name) for name in ("safety_words", "inspection", "sensitive_output")},
    },
    "P36": {
        "permission": status(403, "permission"),
        "region": status(403, "region"),
        "key_limit": status(403, "key_limit"),
        "guardrail_budget": status(403, "guardrail_budget"),
        "html": page(403),
    },
    "P37": {
        "model_id": status(400, "model_id"),
        "model_not_found": status(404, "model_not_found"),
        "no_endpoints": status(404, "no_endpoints"),
        "model_deprecated": status(404, "model_deprecated"),
        **{
            name: status(404, name) for name in ("modalities", "data_policy", "guardrails", "no_image_input", "privacy")
        },
        "html": page(404),
    },
    "P38": {
        "size": status(400, "size"),
        "ratio": status(400, "ratio"),
        "references": status(422, "references"),
        "prompt_long": status(400, "prompt_long"),
        "bad_reference": status(400, "bad_reference"),
        "raw_size": status(400, "raw_size"),
        "detail_list": status(422, body={"detail": [{"loc": ["body", "size"], "msg": "bad", "type": "value_error"}]}),
    },
    "P39": {"json": status(413, "too_large"), "html": page(413), "early": Step("answer_early", {"status": 413})},
    "P40": {
        "301": redirect(301),
        "302": redirect(302),
        "303": redirect(303),
        "307": redirect(307),
        "308": redirect(308),
        "other_name": redirect(307, "{other_name}/trap"),
        "relative": redirect(308, "/trap"),
        "no_location": status(302, body=""),
        "not_an_address": redirect(302, "http://[::1/%zz"),
    },
    "P42": {str(number): status(number) for number in (451, 410, 418, 501, 405, 406, 426, 444, 499, 599)},
}
