"""The errors of AIHubMix by name, in its unified form, and the odd shapes that its answers take with status 200."""

import json
from collections.abc import Callable

from simulator.providers.order import Order
from simulator.server.connection import JsonObject


def error(error_type: str, message: str, code: str | int | None = None, param: str | None = None) -> JsonObject:
    """Return a gateway error; `code` and `param` are left out where upstream gives none."""
    found: JsonObject = {"message": message, "type": error_type}
    if code is not None:
        found["code"] = code
    if param is not None:
        found["param"] = param
    return {"error": found}


def moderation(order: Order) -> JsonObject:
    """Return a moderation block."""
    message = "Your request was rejected by the safety system"
    return error("image_generation_user_error", message, "moderation_blocked")


SAFETY_WORDS = "Your request was rejected as a result of our safety system."
INSPECTED: JsonObject = {"code": "DataInspectionFailed", "message": "Input data may contain inappropriate content."}


def _said(*words: str | int | None) -> Callable[[Order], JsonObject]:
    error_type, message, *rest = words
    code = rest[0] if rest else None
    param = rest[1] if len(rest) > 1 else None
    return lambda order: error(str(error_type), str(message), code, str(param) if param else None)


FAILURES: dict[str, Callable[[Order], JsonObject]] = {
    "rate_limit": _said("rate_limit_error", "Rate limit reached for images per minute", "rate_limit_exceeded"),
    "capacity_exhausted": _said("rate_limit_error", "The upstream load is saturated", 429),
    "overloaded": _said("server_error", "The engine is currently overloaded", "engine_overloaded"),
    "temporarily_unavailable": _said("server_error", "No available channel for this model", "model_unavailable"),
    "server": _said("server_error", "The server had an error", None),
    "unmapped": _said("upstream_error", "bad response status code 500", "bad_response_status_code"),
    "timeout": _said("server_error", "Upstream request timeout", "timeout"),
    "invalid_key": _said("authentication_error", "Invalid token", "invalid_api_key"),
    "credits": _said("insufficient_quota", "You exceeded your current quota", "insufficient_quota"),
    "in_flight_budget": _said("insufficient_quota", "Pre-consumed quota is not enough", "pre_consume_quota_failed"),
    "negative_balance": _said("insufficient_quota", "The balance is negative", "insufficient_user_quota"),
    "key_limit": _said("insufficient_quota", "The token's quota is exhausted", "token_quota_exhausted"),
    "guardrail_budget": _said("insufficient_quota", "The budget is used up", "budget_exceeded"),
    "moderation": moderation,
    "content_policy": _said("image_generation_user_error", "Content policy violation", "content_policy_violation"),
    "refusal": _said("image_generation_user_error", "The model refused", "refusal"),
    "guardrail": _said("permission_error", "Sensitive words detected", "sensitive_words_detected"),
    "raw_text": _said("upstream_error", 'status code 400, body: {"code": "moderation_blocked"}', "bad_response"),
    "raw_object": lambda order: {"error": {"message": "upstream", "code": 400, "body": INSPECTED}},
    "raw_cut": _said("upstream_error", '{"error": {"code": "moderation_blocked", "mess', "bad_response"),
    "raw_words": _said("upstream_error", SAFETY_WORDS),
    "raw_in_502": _said("upstream_error", json.dumps(INSPECTED), "bad_response"),
    "raw_sensitive": _said("upstream_error", "Not to be shown.", "OutputImageSensitiveContentDetected"),
    "raw_minimax": lambda order: {"base_resp": {"status_code": 1026, "status_msg": "input new_sensitive"}},
    "raw_size": _said("upstream_error", json.dumps({"message": "The size is not supported by the upstream"})),
    "safety_words": _said("invalid_request_error", SAFETY_WORDS),
    "inspection": lambda order: dict(INSPECTED),
    "sensitive_output": _said("image_error", "Not to be shown.", "OutputImageSensitiveContentDetected"),
    "permission": _said("permission_error", "This token may not use the model", "access_denied"),
    "region": _said("permission_error", "Country, region, or territory not supported", "unsupported_country"),
    "model_id": _said("invalid_request_error", "Incorrect model ID", "model_not_found"),
    "model_not_found": _said("invalid_request_error", "The model does not exist", "model_not_found", "model"),
    "no_endpoints": _said("invalid_request_error", "No channel for this model", "no_available_channel"),
    "modalities": _said("invalid_request_error", "No endpoints support the output modalities", "not_found"),
    "data_policy": _said("invalid_request_error", "Not available under your data policy", "not_found"),
    "guardrails": _said("invalid_request_error", "Not available under your guardrail restrictions", "not_found"),
    "no_image_input": _said("invalid_request_error", "No endpoints found that support image input", "not_found"),
    "privacy": _said("invalid_request_error", "Not available under your privacy settings", "not_found"),
    "model_deprecated": _said("invalid_request_error", "The model has been deprecated", "model_deprecated"),
    "size": _said("invalid_request_error", "Invalid size '2048x2048'", "invalid_value", "size"),
    "ratio": _said("invalid_request_error", "Invalid aspect_ratio", "invalid_value", "aspect_ratio"),
    "references": _said("invalid_request_error", "Too many images", "invalid_value", "image"),
    "prompt_long": _said("invalid_request_error", "The prompt is too long", "string_above_max_length", "prompt"),
    "bad_reference": _said("invalid_request_error", "Invalid image file", "invalid_image", "image"),
    "too_large": _said("invalid_request_error", "Request body too large", 413),
}


def withheld(reason: str) -> JsonObject:
    """Return an output that was stopped by a filter."""
    return {"output": [{"finish_reason": "content_filter", "raiFilteredReason": reason}]}


def one(value: object) -> JsonObject:
    """Return an output whose only picture is whatever is given."""
    return {"output": {"b64_json": [{"bytesBase64": value}]}}


SHAPES: dict[str, Callable[[Order], object]] = {
    "error_choice": lambda order: {"output": [error("server_error", "Down", "502")]},
    "error_choice_429": lambda order: {"output": [error("rate_limit_error", "Slow down", "429")]},
    "error_choice_400": lambda order: {"output": [moderation(order)]},
    "error_without_details": lambda order: {"output": [{"status": "error"}]},
    "error_beside_text": lambda order: {"output": [{"text": "Here is", **error("server_error", "Stopped", 500)}]},
    "error_text": lambda order: {"error": "something went wrong"},
    "error_code_text": lambda order: error("rate_limit_error", "Slow down", "429"),
    "error_without_code": lambda order: error("server_error", "No available channel for this model"),
    "error_empty": lambda order: {"error": {}},
    "error_list": lambda order: {"error": [{"code": 500}]},
    "no_choices": lambda order: {"output": []},
    "null_choices": lambda order: {"output": None},
    "missing_choices": lambda order: {"id": order.id},
    "no_images": lambda order: {"output": {}},
    "empty_images": lambda order: {"output": {"b64_json": []}},
    "null_message": lambda order: {"output": [None]},
    "content_filter": lambda order: withheld("SAFETY"),
    "image_safety": lambda order: withheld("IMAGE_SAFETY"),
    "prohibited_content": lambda order: withheld("PROHIBITED_CONTENT"),
    "block_reason": lambda order: {"output": [], "promptFeedback": {"blockReason": "SAFETY"}},
    "moderation_in_200": moderation,
    **{
        reason: lambda order, reason=reason: withheld(reason.upper())  # type: ignore[misc]
        for reason in ("image_prohibited_content", "recitation", "image_recitation", "blocklist", "spii")
    },
    "refusal_message": lambda order: {"output": [{"respect_moderation": False}]},
    "safety_words_said": lambda order: {"output": [{"text": SAFETY_WORDS}]},
    "raw_in_200": lambda order: {"output": {}, **INSPECTED},
    "no_image_reason": lambda order: {"output": []},
    "unbelievable_cost": lambda order: {"output": [], "usage": {"cost": 999_999_999}},
    "null_images": lambda order: {"output": {"b64_json": None}},
    "string_images": lambda order: {"output": "none"},
    "number_images": lambda order: {"output": {"b64_json": 7}},
    "object_images": lambda order: {"output": {"b64_json": {"0": {"bytesBase64": ""}}}},
    "strings_in_images": lambda order: {"output": ["a", "b"]},
    "nulls_in_images": lambda order: {"output": {"b64_json": [None, None]}},
    "lists_in_images": lambda order: {"output": {"b64_json": [[[]]]}},
    "number_url": lambda order: {"output": {"urls": [42]}},
    "null_url": lambda order: {"output": {"urls": [None]}},
    "list_url": lambda order: {"output": [{"url": ["https://example.com/a.png"]}]},
    "empty_url": lambda order: {"output": {"urls": [""]}},
    "string_choices": lambda order: {"output": {"b64_json": "none"}},
    "number_choices": lambda order: {"output": 3},
    "object_choices": lambda order: one({"data": "AAAA"}),
    "strings_in_choices": lambda order: {"data": ["a"]},
    "string_message": lambda order: one("here it is"),
    "list_message": lambda order: one([1, 2]),
}
