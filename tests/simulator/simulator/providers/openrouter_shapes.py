"""The errors of OpenRouter by name, and the shapes that answers take with status 200.

Some are odd. Others are those of gateways that speak chat completions too, and put their pictures elsewhere: in parts,
fields and words.
"""

import json
from collections.abc import Callable

from simulator.providers.order import Order
from simulator.server.connection import JsonObject

COST_USD = 0.04
DOCS_URL = "https://openrouter.ai/docs/api-reference/errors"


def choice(message: object, **more: object) -> JsonObject:
    """Return the only choice of a completion."""
    return {"index": 0, "finish_reason": "stop", "message": message, **more}


def completion(order: Order, choices: object) -> JsonObject:
    """Return a completion with whatever stands for its choices."""
    prompt_tokens = len(order.prompt.split()) + 258 * len(order.references)
    usage = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": 1290,
        "total_tokens": prompt_tokens + 1290,
        "cost": COST_USD,
    }
    return {"id": f"gen-{order.id}", "model": order.model, "choices": choices, "usage": usage}


def error(code: int, error_type: str, message: str, **metadata: object) -> JsonObject:
    """Return an error with its stable discriminator."""
    return {"error": {"code": code, "message": message, "metadata": {"error_type": error_type, **metadata}}}


def unavailable(status: int, code: str, *, retryable: bool, retry_after: int | None = None) -> JsonObject:
    """Return an error of the newer form, which has an `availability` and no `code`."""
    availability = {
        "code": code,
        "retryable": retryable,
        "retry_after": retry_after,
        "requested_models": ["sim/model"],
        "affected_providers": ["Simulator"],
        "docs_url": DOCS_URL,
    }
    message = f"The model is not available: {code}"
    return {"error": {"message": message, "error_type": code, "http_status": status, "availability": availability}}


def budget(source: str, **more: object) -> JsonObject:
    """Return an error about a budget that is used up until it is reset."""
    details = {"limit_usd": 10, "spend_usd": 10.02, "resets_at": "2099-01-01T00:00:00Z", **more}
    return error(403, "permission_denied", "Budget limit exceeded", limit_source=source, **details)


def quoted(raw: object, code: int = 400) -> JsonObject:
    """Return an error that only quotes the upstream's own one, as text or as an object."""
    return {
        "error": {"code": code, "message": "Provider returned error", "metadata": {"raw": raw, "provider_name": "U"}}
    }


def moderation(order: Order) -> JsonObject:
    """Return a moderation block with its metadata."""
    metadata = {
        "reasons": ["violence"],
        "flagged_input": order.prompt[:100],
        "provider_name": "Simulator",
        "model_slug": order.model,
    }
    return {"error": {"code": 403, "message": "Input was flagged by moderation", "metadata": metadata}}


SAFETY_WORDS = "Your request was rejected as a result of our safety system."
BLOCKED: JsonObject = {"error": {"message": SAFETY_WORDS, "code": "moderation_blocked"}}
INSPECTED: JsonObject = {"code": "DataInspectionFailed", "message": "Input data may contain inappropriate content."}
SENSITIVE: JsonObject = {"error": {"code": "OutputImageSensitiveContentDetected", "message": "Not to be shown."}}
NO_SIZE: JsonObject = {"error": {"code": "invalid_value", "message": "The size is not supported by the upstream"}}

FAILURES: dict[str, Callable[[Order], JsonObject]] = {
    "rate_limit": lambda order: error(429, "rate_limit_exceeded", "Rate limit exceeded", provider_code="429"),
    "capacity_exhausted": lambda order: unavailable(429, "capacity_exhausted", retryable=True, retry_after=1),
    "overloaded": lambda order: error(503, "provider_overloaded", "Provider overloaded"),
    "temporarily_unavailable": lambda order: unavailable(503, "temporarily_unavailable", retryable=True, retry_after=1),
    "server": lambda order: error(500, "server", "Internal Server Error"),
    "unmapped": lambda order: error(500, "unmapped", "Provider returned error", previous_errors=[{"code": 502}]),
    "timeout": lambda order: error(504, "timeout", "The provider did not answer in time"),
    "invalid_key": lambda order: error(401, "authentication", "User not found."),
    "credits": lambda order: error(402, "payment_required", "Insufficient credits", limit_source="openrouter_credits"),
    "in_flight_budget": lambda order: error(
        402, "payment_required", "Too many requests in flight", limit_source="openrouter_in_flight_budget"
    ),
    "negative_balance": lambda order: error(402, "payment_required", "Your account has a negative balance"),
    "key_limit": lambda order: budget("openrouter_key_limit", scope="key"),
    "guardrail_budget": lambda order: budget("openrouter_guardrail_budget", scope="guardrail"),
    "moderation": moderation,
    "content_policy": lambda order: error(400, "content_policy_violation", "The prompt violates the content policy"),
    "refusal": lambda order: error(400, "refusal", "The model refused"),
    "guardrail": lambda order: error(403, "permission_denied", "Guardrail", patterns=["ssn"]),
    "raw_text": lambda order: quoted(json.dumps(BLOCKED)),
    "raw_object": lambda order: quoted(BLOCKED),
    "raw_cut": lambda order: quoted(json.dumps({**BLOCKED, "z": "long"})[:-9]),
    "raw_words": lambda order: quoted(SAFETY_WORDS),
    "raw_in_502": lambda order: quoted(json.dumps(INSPECTED), 502),
    "raw_sensitive": lambda order: quoted(SENSITIVE),
    "raw_minimax": lambda order: quoted({"base_resp": {"status_code": 1026, "status_msg": "input new_sensitive"}}),
    "raw_size": lambda order: quoted(json.dumps(NO_SIZE)),
    "safety_words": lambda order: error(400, "invalid_request", SAFETY_WORDS),
    "inspection": lambda order: dict(INSPECTED),
    "sensitive_output": lambda order: SENSITIVE,
    "permission": lambda order: error(403, "permission_denied", "This key may not use the model"),
    "region": lambda order: unavailable(403, "region_restricted", retryable=False),
    "model_id": lambda order: error(400, "invalid_request", f"{order.model} is not a valid model ID"),
    "model_not_found": lambda order: unavailable(404, "model_not_found", retryable=False),
    "no_endpoints": lambda order: error(404, "not_found", f"No endpoints found for {order.model}."),
    "modalities": lambda order: error(
        404, "not_found", "No endpoints found that support the requested output modalities: image, text"
    ),
    "data_policy": lambda order: error(
        404, "not_found", "No endpoints found matching your data policy (Free model training)."
    ),
    "guardrails": lambda order: error(
        404, "not_found", "No endpoints available matching your guardrail restrictions and data policy."
    ),
    "no_image_input": lambda order: error(404, "not_found", "No endpoints found that support image input"),
    "privacy": lambda order: unavailable(404, "privacy_restricted", retryable=False),
    "model_deprecated": lambda order: unavailable(404, "model_deprecated", retryable=False),
    "size": lambda order: error(400, "invalid_request", "image_size '2K' is not supported", param="image_size"),
    "ratio": lambda order: error(400, "invalid_request", "aspect_ratio '21:9' is not supported"),
    "references": lambda order: error(422, "unprocessable", "At most 3 input images are allowed"),
    "prompt_long": lambda order: error(400, "string_too_long", "The prompt is too long"),
    "bad_reference": lambda order: error(400, "invalid_image", "The input image could not be decoded"),
    "too_large": lambda order: error(413, "payload_too_large", "Request Entity Too Large"),
}


def said(order: Order, message: object, **more: object) -> JsonObject:
    """Return a completion with one message."""
    return completion(order, [choice(message, **more)])


def stopped(order: Order, reason: str) -> JsonObject:
    """Return a completion without an image that the upstream has stopped for a reason of its own."""
    return said(order, images([]), native_finish_reason=reason)


def image(url: object) -> JsonObject:
    """Return a message with one image of that address."""
    return {"role": "assistant", "content": "", "images": [{"type": "image_url", "image_url": {"url": url}}]}


def images(value: object) -> JsonObject:
    """Return a message with whatever stands for its images."""
    return {"role": "assistant", "content": "", "images": value}


def withheld(order: Order, reason: str) -> JsonObject:
    """Return a completion that was stopped by a filter."""
    return said(order, images([]), finish_reason="content_filter", native_finish_reason=reason)


SHAPES: dict[str, Callable[[Order], object]] = {
    "error_choice": lambda order: said(order, {}, finish_reason="error", **error(502, "provider_unavailable", "Down")),
    "error_choice_429": lambda order: said(
        order, {}, finish_reason="error", **error(429, "rate_limit_exceeded", "Slow down")
    ),
    "error_choice_400": lambda order: said(
        order, {}, finish_reason="error", **error(400, "content_policy_violation", "No")
    ),
    "error_without_details": lambda order: said(order, {"content": ""}, finish_reason="error"),
    "error_beside_text": lambda order: said(
        order, {"content": "Here is"}, finish_reason="error", **error(500, "server", "Stopped")
    ),
    "error_text": lambda order: {"error": "something went wrong"},
    "error_code_text": lambda order: {"error": {"code": "429", "message": "Slow down"}},
    "error_without_code": lambda order: unavailable(503, "temporarily_unavailable", retryable=True, retry_after=1),
    "error_empty": lambda order: {"error": {}},
    "error_list": lambda order: {"error": [{"code": 500}]},
    "no_choices": lambda order: completion(order, []),
    "null_choices": lambda order: completion(order, None),
    "missing_choices": lambda order: {"id": f"gen-{order.id}", "model": order.model},
    "no_images": lambda order: said(order, {"role": "assistant", "content": ""}),
    "empty_images": lambda order: said(order, images([])),
    "null_message": lambda order: said(order, None),
    "content_filter": lambda order: withheld(order, "SAFETY"),
    "image_safety": lambda order: withheld(order, "IMAGE_SAFETY"),
    "prohibited_content": lambda order: withheld(order, "PROHIBITED_CONTENT"),
    "block_reason": lambda order: {**completion(order, []), "promptFeedback": {"blockReason": "SAFETY"}},
    "moderation_in_200": moderation,
    **{
        reason: lambda order, reason=reason: stopped(order, reason.upper())  # type: ignore[misc]
        for reason in ("image_prohibited_content", "recitation", "image_recitation", "blocklist", "spii")
    },
    "refusal_message": lambda order: said(order, {"content": None, "refusal": "I cannot help with that."}),
    "safety_words_said": lambda order: said(order, {"content": SAFETY_WORDS}),
    "raw_in_200": lambda order: quoted(json.dumps(BLOCKED)),
    "no_image_reason": lambda order: stopped(order, "NO_IMAGE"),
    "unbelievable_cost": lambda order: {**said(order, images([])), "usage": {"cost": 999_999_999}},
    "null_images": lambda order: said(order, images(None)),
    "string_images": lambda order: said(order, images("none")),
    "number_images": lambda order: said(order, images(7)),
    "object_images": lambda order: said(order, images({"0": {"image_url": {"url": "data:,"}}})),
    "strings_in_images": lambda order: said(order, images(["a", "b"])),
    "nulls_in_images": lambda order: said(order, images([None, None])),
    "lists_in_images": lambda order: said(order, images([[[]]])),
    "number_url": lambda order: said(order, image(42)),
    "null_url": lambda order: said(order, image(None)),
    "list_url": lambda order: said(order, image(["https://example.com/a.png"])),
    "empty_url": lambda order: said(order, image("")),
    "string_choices": lambda order: completion(order, "none"),
    "number_choices": lambda order: completion(order, 3),
    "object_choices": lambda order: completion(order, {"message": {}}),
    "strings_in_choices": lambda order: completion(order, ["a"]),
    "string_message": lambda order: said(order, "here it is"),
    "list_message": lambda order: said(order, [1, 2]),
}


LINE = 76


def _base64(link: str) -> str:
    return link.partition(",")[2]


def _parts(part: Callable[[str], JsonObject], name: str = "content") -> Callable[[Order, list[str]], JsonObject]:
    """Make an answer whose message has a part in words and one for each picture."""
    words = {"type": "text", "text": "Here you are: [more](https://example.com/more.png)"}
    return lambda order, links: completion(
        order, [choice({"role": "assistant", "content": None, name: [words, *map(part, links)]})]
    )


def _fields(make: Callable[[list[str]], JsonObject]) -> Callable[[Order, list[str]], JsonObject]:
    """Make an answer whose message has further fields."""
    return lambda order, links: completion(order, [choice({"role": "assistant", "content": "", **make(links)})])


def _words(write: Callable[[str], str]) -> Callable[[Order, list[str]], JsonObject]:
    """Make an answer that shows its pictures in words."""
    return lambda order, links: completion(
        order, [choice({"role": "assistant", "content": "\n\n".join(map(write, links))})]
    )


def _wrapped(link: str) -> str:
    head, _, text = link.partition(",")
    lines = "\n".join(text[at : at + LINE] for at in range(0, len(text), LINE))
    return f"Here it is.\n\n![fox]({head},{lines})\n\nEnjoy!"


# Each takes data URLs or links.
PLACES: dict[str, Callable[[Order, list[str]], JsonObject]] = {
    "part_image_url": _parts(lambda link: {"type": "image_url", "image_url": {"url": link}}),
    "part_image_url_text": _parts(lambda link: {"type": "image_url", "image_url": link}),
    "part_output_image": _parts(lambda link: {"type": "output_image", "image_url": link}),
    "part_image": _parts(lambda link: {"type": "image", "image": link}),
    "part_markdown": _parts(lambda link: {"type": "text", "text": f"![fox]({link})"}),
    "markdown": _words(lambda link: f'Here it is:\n\n![A fox [red]]({link} "fox")\n\n[Download]({link})'),
    "markdown_in_angles": _words(lambda link: f"![fox](<{link}>)"),
    "html": _words(lambda link: f'<p><img alt="fox" src="{link}"></p>'),
    "alone": _words(lambda link: link),
}
# Each takes data URLs alone.
INLINE_PLACES: dict[str, Callable[[Order, list[str]], JsonObject]] = {
    "part_b64_json": _parts(lambda link: {"type": "output_image", "b64_json": _base64(link)}),
    "part_source": _parts(
        lambda link: {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": _base64(link)},
        }
    ),
    "part_inline_data": _parts(
        lambda link: {"inline_data": {"mime_type": "image/png", "data": _base64(link)}}, "multi_mod_content"
    ),
    "images_b64_json": _fields(lambda links: {"images": [{"b64_json": _base64(link)} for link in links]}),
    "message_b64_json": _fields(lambda links: {"b64_json": _base64(links[0])}),
    "choice_b64_json": lambda order, links: completion(
        order, [choice({"role": "assistant", "content": ""}, b64_json=_base64(links[0]))]
    ),
    "data_b64_json": lambda order, links: {
        "created": 1,
        "data": [{"b64_json": _base64(link)} for link in links],
        "usage": {"cost": 0.04},
    },
    "markdown_lines": _words(_wrapped),
    "words_around": _words(lambda link: f"Your image: {link} Enjoy!"),
}
PLACES |= INLINE_PLACES
