"""AIHubMix's predictions endpoint: reads the call, shapes the answer in each variant seen in the wild.

Neither a mime type, nor usage, nor a price is ever present in these answers.
"""

import re
from collections.abc import Callable, Sequence

from simulator.providers.aihubmix_shapes import FAILURES as FAILURES
from simulator.providers.aihubmix_shapes import SHAPES as SHAPES
from simulator.providers.aihubmix_shapes import moderation
from simulator.providers.order import Order, Rejected, as_object, as_text, base64_text, decode_data_url, pixels_for
from simulator.providers.spelling import USUAL_PREFIX
from simulator.server.connection import JsonObject, Request

NAME = "aihubmix"
PATH = "/v1/models/"

MODEL = re.compile(
    r"openai/(gpt-image-2-free|gpt-image-1|gpt-image-1-mini|gpt-image-1\.5)|google/imagen-4\.0-[\w.-]+|bfl/[\w.-]+|ideogram/V3|doubao/doubao-seedream-[\w.-]+|sim/[\w.]+"
)
DEFAULT_VARIANT = "b64_list"
POLLING = "polling"
ERROR_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}

# Each takes pictures as base64 text.
PICTURE_VARIANTS: dict[str, Callable[[list[str]], JsonObject]] = {
    "b64_list": lambda texts: {"output": {"b64_json": [{"bytesBase64": text} for text in texts]}},
    "b64_object": lambda texts: {"output": {"b64_json": texts[0]}},
    "data": lambda texts: {"data": [{"b64_json": text} for text in texts]},
    "output_b64_list": lambda texts: {"output": [{"b64_json": text} for text in texts]},
    "output_list": lambda texts: {"output": [{"bytesBase64": text} for text in texts]},
}
# Each takes addresses of pictures.
LINK_VARIANTS: dict[str, Callable[[list[str]], JsonObject]] = {
    "output_url_list": lambda links: {"output": [{"url": link} for link in links]},
    "urls": lambda links: {"output": {"urls": links}},
}
# Each takes data URLs or addresses of pictures, and shows them in words.
WORD_VARIANTS: dict[str, Callable[[list[str]], JsonObject]] = {
    "chat_markdown": lambda links: {"choices": [{"message": {"content": f"![fox]({link})"}} for link in links]},
    "output_markdown": lambda links: {"output": [f"![fox]({link})" for link in links]},
    "text_markdown": lambda links: {"output": [{"text": f"![fox]({link})"} for link in links]},
}
VARIANTS = frozenset([*PICTURE_VARIANTS, *LINK_VARIANTS, *WORD_VARIANTS, POLLING])


def read(request: Request, order_id: str) -> Order:
    """Parse a prediction call, or raise Rejected."""
    if not request.bearer:
        raise Rejected(401, "Invalid token", "invalid_api_key")
    model = request.path.removeprefix(PATH).removesuffix("/predictions")
    if not MODEL.fullmatch(model):
        raise Rejected(400, "Incorrect model ID", "model_not_found")
    wishes = as_object((request.json() or {}).get("input"))
    prompt = as_text(wishes.get("prompt"))
    if prompt is None:
        raise Rejected(400, "Missing required parameter: 'prompt'", "missing_required_parameter")
    count = wishes.get("n", 1)
    if not isinstance(count, int) or not 1 <= count <= 10:
        raise Rejected(400, "n must be between 1 and 10", "invalid_value")
    size = as_text(wishes.get("size")) or "auto"
    ratio = as_text(wishes.get("aspect_ratio"))
    width, height = pixels_for("1K" if size == "auto" else size, (ratio or "1:1").replace("x", ":"))
    return Order(
        id=order_id,
        model=model,
        prompt=prompt,
        width=width,
        height=height,
        image_size=size,
        aspect_ratio=ratio,
        quality=as_text(wishes.get("quality")),
        references=_read_references(wishes.get("image")),
        count=count,
    )


def _read_references(image: object) -> tuple[bytes, ...]:
    if image is None:
        return ()
    return tuple(decode_data_url(url) for url in (image if isinstance(image, list) else [image]))


def headers(order_id: str) -> dict[str, str]:
    """Return the headers AIHubMix puts on every answer."""
    return {"X-Request-Id": order_id}


def answer(order: Order, texts: Sequence[str], prefix: str, variant: str) -> JsonObject:
    """Wrap pictures in the named variant; only an unusual prefix is sent."""
    if variant in WORD_VARIANTS:
        return WORD_VARIANTS[variant]([prefix + text for text in texts])
    start = "" if prefix == USUAL_PREFIX else prefix
    wrap = PICTURE_VARIANTS.get(variant, PICTURE_VARIANTS[DEFAULT_VARIANT])
    return wrap([start + text for text in texts])


def answer_links(order: Order, links: Sequence[str], variant: str) -> JsonObject:
    """Wrap addresses of pictures in the named variant."""
    return {**LINK_VARIANTS, **WORD_VARIANTS}.get(variant, LINK_VARIANTS["urls"])(list(links))


def answer_later(polling_url: str, task_id: str) -> JsonObject:
    """Answer with an address to ask again."""
    return {"output": [{"polling_url": polling_url, "taskId": task_id}]}


def poll_report(status: str, pictures: Sequence[bytes] = ()) -> JsonObject:
    """Describe how far a polled task has come."""
    if status == "failed":
        return {"status": status, **failure(500, "The task failed", "task_failed")}
    if not pictures:
        return {"status": status}
    return {"status": status, **PICTURE_VARIANTS["output_list"]([base64_text(data) for data in pictures])}


def text_only(order: Order, text: str) -> JsonObject:
    """Answer in words, without a picture."""
    return {"output": [{"text": text}]}


def empty(order: Order) -> JsonObject:
    """Answer with an empty output."""
    return {"output": []}


def failure(status: int, message: str, code: str = "") -> JsonObject:
    """Describe an error in the gateway's unified form."""
    default = "invalid_request_error" if status < 500 else "server_error"
    error_type = ERROR_TYPES.get(status, default)
    return {"error": {"message": message, "type": error_type, "code": code or str(status)}}


def failed_choice(order: Order, status: int, message: str) -> JsonObject:
    """Hide an error inside the first output."""
    return {"output": [failure(status, message)]}


def refusal(order: Order) -> JsonObject:
    """Describe a moderation block."""
    return moderation(order)
