"""OpenRouter: chat completions with `modalities`, images as data or https URLs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from contract import provider_specs
from contract.aspect_ratio import contradicts, nearest_ratio
from contract.errors.catalogue.provider import PROVIDER_CREDITS, PROVIDER_RATE_LIMITED
from contract.image_size import explicit_size, nearest_hint, smaller_hint
from worker.answers.content_refusal import is_refused
from worker.answers.error_classification import Meaning, of_error_object, of_garbage, of_refusal, of_silence
from worker.answers.errors import ProviderError, RateLimited, Unusable
from worker.answers.redaction import clean
from worker.answers.untrusted_json import Json, mapping, text, texts, told_cost
from worker.providers.chat_images import MAX_CHOICES, choices_of, is_fair, message_of, pictures_of, words_of
from worker.providers.provider import Answer, HttpCall, ImageCall, Provider, headers

if TYPE_CHECKING:
    from contract.settings.nanobot_config import ProviderConfig


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
    """Read the images of all choices, wherever they stand, or raise what the answer stands for."""
    answer = mapping(body)
    if answer.get("error"):
        raise of_error_object(answer["error"], of_metadata=of_metadata)
    choices = choices_of(answer)
    for choice in choices:
        if choice.get("error") or choice.get("finish_reason") == "error":
            raise of_error_object(choice.get("error"), of_metadata=of_metadata)
    refusal = _refusal(answer, choices)
    pictures = pictures_of(answer, in_words=not refusal)
    if not pictures:
        raise of_refusal(refusal) if refusal else _why_none(answer, choices)
    return Answer(pictures=pictures, cost_usd=told_cost(answer))


def of_metadata(metadata: Mapping[str, Json]) -> Meaning | None:
    """Tell what a limit of OpenRouter's own means: one passes by itself, and the others are money."""
    limit_source = text(metadata.get("limit_source"))
    if limit_source == "openrouter_in_flight_budget":
        return RateLimited, PROVIDER_RATE_LIMITED
    return (Unusable, PROVIDER_CREDITS) if limit_source.startswith("openrouter_") else None


def _refusal(answer: dict[str, Json], choices: list[dict[str, Json]]) -> str:
    """Tell in which words or with which code the content was refused, if the answer says so."""
    refused = " ".join(texts(*(mapping(message_of(choice)).get("refusal") for choice in choices)))
    reasons = [text(choice.get(name)) for choice in choices for name in ("native_finish_reason", "finish_reason")]
    code = next((reason for reason in reasons if is_refused(code=reason)), "")
    return refused or code or text(mapping(answer.get("promptFeedback")).get("blockReason"))


def _why_none(answer: dict[str, Json], choices: list[dict[str, Json]]) -> ProviderError:
    """Tell why there is no picture: refused in words, talked instead, or nothing that makes sense."""
    said = " ".join(texts(*(words_of(message_of(choice)) for choice in choices)))
    if is_refused(said=said):
        return of_refusal(said)
    is_silent = isinstance(answer.get("choices"), list) and all(map(is_fair, answer["choices"][:MAX_CHOICES]))
    return of_silence(clean(said, limit=2000)) if said or is_silent else of_garbage()


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
