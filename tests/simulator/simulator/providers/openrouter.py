"""OpenRouter's chat completions with images: reads the call, shapes the answer.

Errors carry `code` (the HTTP status) and `metadata.error_type`, the stable discriminator.
"""

from collections.abc import Sequence

from simulator.providers.openrouter_shapes import FAILURES as FAILURES
from simulator.providers.openrouter_shapes import PLACES as PLACES
from simulator.providers.openrouter_shapes import SHAPES as SHAPES
from simulator.providers.openrouter_shapes import choice, completion, error, moderation
from simulator.providers.order import Order, Rejected, as_object, as_text, decode_data_url, pixels_for
from simulator.server.connection import JsonObject, Request

NAME = "openrouter"
PATH = "/api/v1/chat/completions"

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


def answer(order: Order, texts: Sequence[str], prefix: str, variant: str) -> JsonObject:
    """Wrap pictures as data URLs."""
    return answer_links(order, [prefix + text for text in texts], variant)


def answer_links(order: Order, links: Sequence[str], variant: str) -> JsonObject:
    """Wrap addresses of pictures, which may be data URLs; a variant puts them where other gateways do."""
    if variant in PLACES:
        return PLACES[variant](order, list(links))
    images = [{"type": "image_url", "image_url": {"url": link}} for link in links]
    return completion(order, [choice({"role": "assistant", "content": "", "images": images})])


def text_only(order: Order, text: str) -> JsonObject:
    """Answer in words, without a picture."""
    return completion(order, [choice({"role": "assistant", "content": text})])


def empty(order: Order) -> JsonObject:
    """Answer with no choices at all."""
    return completion(order, [])


def failure(status: int, message: str, code: str = "") -> JsonObject:
    """Describe an error; `code` is the error type where it is not the usual one of the status."""
    return error(status, code or ERROR_TYPES.get(status, "unmapped"), message)


def failed_choice(order: Order, status: int, message: str) -> JsonObject:
    """Hide an error inside the first choice of a completion."""
    message_without_picture = {"role": "assistant", "content": ""}
    return completion(order, [choice(message_without_picture, finish_reason="error", **failure(status, message))])


def refusal(order: Order) -> JsonObject:
    """Describe a moderation block."""
    return moderation(order)
