"""OpenRouter: chat completions with `modalities`, images as data or https URLs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from contract import provider_specs
from contract.aspect_ratio import contradicts, nearest_ratio
from contract.errors.catalogue.provider import PROVIDER_CREDITS, PROVIDER_RATE_LIMITED
from contract.image_size import explicit_size, nearest_hint, smaller_hint
from worker.answers.content_refusal import is_refused
from worker.answers.error_classification import Meaning, of_error_object, of_garbage, of_refusal, of_silence
from worker.answers.errors import ProviderError, RateLimited, Unusable
from worker.answers.redaction import clean
from worker.answers.untrusted_json import Json, is_draft, items, mapping, text, texts, told_cost
from worker.providers.provider import Answer, HttpCall, ImageCall, Provider, headers

if TYPE_CHECKING:
    from contract.settings.nanobot_config import ProviderConfig

MAX_CHOICES = 16


def build_request(ask: ImageCall, config: ProviderConfig, api_base: str) -> HttpCall:
    """Build one chat completion that answers with an image."""
    content: str | list[dict[str, Json]] = ask.prompt
    if ask.references:
        blocks = ({"type": "image_url", "image_url": {"url": url}} for url in ask.references)
        content = [{"type": "text", "text": ask.prompt}, *blocks]
    image_config = shape_of(ask)
    body: dict[str, Json] = {
        "model": ask.model,
        "messages": [{"role": "user", "content": content}],
        "modalities": ["image"] if ask.image_only else ["image", "text"],
        "stream": False,
    }
    if image_config:
        body["image_config"] = image_config
    body.update(config.extra_body)
    if ask.is_chosen:
        quality = {"quality": ask.quality} if ask.quality else {}
        body["image_config"] = {**mapping(body.get("image_config")), **image_config, **quality}
    return HttpCall(f"{api_base}/chat/completions", headers(config), body)


def shape_of(ask: ImageCall) -> dict[str, Json]:
    """Say ratio and size in OpenRouter's vocabulary, which has no pixels: theirs are the nearest hint and ratio."""
    sides, ratio = explicit_size(ask.image_size), ask.aspect_ratio
    if sides and (ratio == "auto" or contradicts(ratio, *sides)):
        ratio = nearest_ratio(*sides)
    shape = {"aspect_ratio": ratio, "image_size": nearest_hint(ask.image_size, provider_specs.OPENROUTER.size_hints)}
    return {name: value for name, value in shape.items() if value != "auto"}


def parse_response(body: Json) -> Answer:
    """Read the images of all choices, or raise what the answer stands for."""
    answer = mapping(body)
    if answer.get("error"):
        raise of_error_object(answer["error"], of_metadata=of_metadata)
    choices = [mapping(choice) for choice in items(answer.get("choices"))[:MAX_CHOICES]]
    for choice in choices:
        if choice.get("error") or choice.get("finish_reason") == "error":
            raise of_error_object(choice.get("error"), of_metadata=of_metadata)
    pictures = tuple(url for choice in choices for url in _pictures(choice))
    if not pictures:
        raise _why_none(answer, choices)
    return Answer(pictures=pictures, cost_usd=told_cost(answer))


def of_metadata(metadata: Mapping[str, Json]) -> Meaning | None:
    """Tell what a limit of OpenRouter's own means: one passes by itself, and the others are money."""
    limit_source = text(metadata.get("limit_source"))
    if limit_source == "openrouter_in_flight_budget":
        return RateLimited, PROVIDER_RATE_LIMITED
    return (Unusable, PROVIDER_CREDITS) if limit_source.startswith("openrouter_") else None


def _why_none(answer: dict[str, Json], choices: list[dict[str, Json]]) -> ProviderError:
    """Tell why there is no picture: refused, talked instead, or nothing that makes sense."""
    reasons = [text(choice.get(name)) for choice in choices for name in ("native_finish_reason", "finish_reason")]
    refusal = next((reason for reason in reasons if is_refused(code=reason)), "")
    refusal = refusal or text(mapping(answer.get("promptFeedback")).get("blockReason"))
    said = " ".join(texts(*(mapping(_message(choice)).get("content") for choice in choices)))
    refused = " ".join(texts(*(mapping(_message(choice)).get("refusal") for choice in choices)))
    if refusal or refused or is_refused(said=said):
        return of_refusal(refused or refusal or said)
    is_fair = isinstance(answer.get("choices"), list) and all(map(_is_fair, answer["choices"][:MAX_CHOICES]))
    return of_silence(clean(said, limit=2000)) if said or is_fair else of_garbage()


def _is_fair(choice: Json) -> bool:
    """Tell a choice without a picture from one that has something else in its place."""
    message = _message(choice) if isinstance(choice, dict) else ""
    if not isinstance(message, dict):
        return message is None
    images = message.get("images", [])
    return isinstance(images, list) and all(_is_draft(mapping(image)) for image in images)


def _pictures(choice: dict[str, Json]) -> Iterator[str]:
    for image in map(mapping, items(mapping(_message(choice)).get("images"))):
        if not _is_draft(image):
            yield from texts(mapping(_link(image)).get("url"), _link(image))


def _is_draft(image: dict[str, Json]) -> bool:
    return is_draft(image) or is_draft(mapping(_link(image)))


def _link(image: dict[str, Json]) -> Json:
    return image.get("image_url") or image.get("imageUrl")


def _message(choice: dict[str, Json]) -> Json:
    """Find a choice's message; in a stream that was not asked for it is called `delta`."""
    return choice.get("message", choice.get("delta"))


def smaller(image_size: str) -> str | None:
    """Name the next smaller hint that OpenRouter obeys."""
    return smaller_hint(image_size, provider_specs.OPENROUTER.size_hints)


OPENROUTER = Provider(
    spec=provider_specs.OPENROUTER,
    build_request=build_request,
    parse_response=parse_response,
    smaller=smaller,
    of_metadata=of_metadata,
    image_only=(
        *("black-forest-labs/", "bytedance-seed/seedream", "openai/gpt-image-", "recraft/", "sourceful/riverflow"),
        *("microsoft/mai-image", "x-ai/grok-imagine"),
    ),
)
