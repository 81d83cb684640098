"""OpenRouter's chat completions with images: reads the call, shapes the answer.

Errors carry `code` (the HTTP status) and `metadata.error_type`, the stable discriminator.
"""

from collections.abc import Sequence

from simulator.connection import JsonObject, Request
from simulator.order import Order, Rejected, as_object, as_text, base64_text, decode_data_url, pixels_for

NAME = "openrouter"
PATH = "/api/v1/chat/completions"

COST_USD = 0.04
ERROR_TYPES = {
    400: "invalid_request",
    401: "authentication",
    402: "payment_required",
    403: "permission_denied",
    404: "not_found",
    413: "payload_too_large",
    429: "rate_limit_exceeded",
    500: "server",
    502: "provider_unavailable",
    503: "provider_overloaded",
    504: "timeout",
}


def read(request: Request, order_id: str) -> Order:
    """Parse a chat completion that asks for a picture, or raise Rejected."""
    if not request.bearer:
        raise Rejected(401, "No auth credentials found", "authentication")
    body = request.json()
    if body is None:
        raise Rejected(400, "The body is not a JSON object")
    model = as_text(body.get("model"))
    if model is None:
        raise Rejected(400, "No model given")
    prompt, references = _read_messages(body.get("messages"))
    config = as_object(body.get("image_config"))
    size = as_text(config.get("image_size")) or "1K"
    ratio = as_text(config.get("aspect_ratio")) or "1:1"
    width, height = pixels_for(size, ratio)
    return Order(
        id=order_id,
        model=model,
        prompt=prompt,
        width=width,
        height=height,
        image_size=size,
        aspect_ratio=ratio,
        quality=as_text(config.get("quality")),
        references=references,
    )


def _read_messages(messages: object) -> tuple[str, tuple[bytes, ...]]:
    if not isinstance(messages, list) or not messages:
        raise Rejected(400, "Input must have at least 1 message")
    texts: list[str] = []
    references: list[bytes] = []
    for message in messages:
        content = as_object(message).get("content")
        blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
        for block in map(as_object, blocks):
            if block.get("type") == "image_url":
                references.append(decode_data_url(as_object(block.get("image_url")).get("url")))
            elif text := as_text(block.get("text")):
                texts.append(text)
    if not texts:
        raise Rejected(400, "The prompt is empty", "invalid_prompt")
    return "\n".join(texts), tuple(references)


def headers(order_id: str) -> dict[str, str]:
    """Return the headers OpenRouter puts on every answer."""
    return {"X-Generation-Id": f"gen-{order_id}"}


def answer(order: Order, pictures: Sequence[bytes], variant: str) -> JsonObject:
    """Wrap pictures as data URLs; there is only one variant of that here."""
    return answer_links(order, [f"data:image/png;base64,{base64_text(data)}" for data in pictures], variant)


def answer_links(order: Order, links: Sequence[str], variant: str) -> JsonObject:
    """Wrap addresses of pictures, which may be data URLs."""
    images = [{"type": "image_url", "image_url": {"url": link}} for link in links]
    return _completion(order, [_choice({"role": "assistant", "content": "", "images": images})])


def text_only(order: Order, text: str) -> JsonObject:
    """Answer in words, without a picture."""
    return _completion(order, [_choice({"role": "assistant", "content": text})])


def empty(order: Order) -> JsonObject:
    """Answer with no choices at all."""
    return _completion(order, [])


def failure(status: int, message: str, code: str = "") -> JsonObject:
    """Describe an error; `code` is the error type where it is not the usual one of the status."""
    error_type = code or ERROR_TYPES.get(status, "unmapped")
    return {"error": {"code": status, "message": message, "metadata": {"error_type": error_type}}}


def failed_choice(order: Order, status: int, message: str) -> JsonObject:
    """Hide an error inside the first choice of a completion."""
    choice = _choice({"role": "assistant", "content": ""})
    return _completion(order, [{**choice, **failure(status, message), "finish_reason": "error"}])


def refusal(order: Order) -> JsonObject:
    """Describe a moderation block."""
    metadata = {
        "reasons": ["violence"],
        "flagged_input": order.prompt[:100],
        "provider_name": "Simulator",
        "model_slug": order.model,
    }
    return {"error": {"code": 403, "message": "Input was flagged by moderation", "metadata": metadata}}


def _choice(message: JsonObject) -> JsonObject:
    return {"index": 0, "finish_reason": "stop", "message": message}


def _completion(order: Order, choices: Sequence[JsonObject]) -> JsonObject:
    prompt_tokens = len(order.prompt.split()) + 258 * len(order.references)
    usage = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": 1290,
        "total_tokens": prompt_tokens + 1290,
        "cost": COST_USD,
    }
    return {"id": f"gen-{order.id}", "model": order.model, "choices": list(choices), "usage": usage}
