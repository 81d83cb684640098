"""AIHubMix: the unified predictions API, which answers in five shapes and one of them later."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from contract import provider_specs
from contract.image_size import GPT_IMAGE_MOST_PIXELS, explicit_size
from worker.answers.content_refusal import is_refused
from worker.answers.error_classification import of_error_object, of_garbage, of_refusal, of_silence
from worker.answers.errors import ProviderError, TimedOut, Transient
from worker.answers.image_links import images_in
from worker.answers.redaction import clean
from worker.answers.task_stage import Stage, has_status
from worker.answers.task_status import check
from worker.answers.untrusted_json import Json, is_draft, is_partial, items, mapping, texts, told_cost
from worker.providers.aihubmix_shape import shape_of
from worker.providers.chat_images import pictures_of
from worker.providers.provider import Answer, HttpCall, ImageCall, Provider, headers

if TYPE_CHECKING:
    from contract.settings.nanobot_config import ProviderConfig

_PICTURE_KEYS = ("bytesBase64", "b64_json", "url", "sample", "image", "urls", "data", "output", "result")
_DEPTH = 6


def build_request(ask: ImageCall, config: ProviderConfig, api_base: str) -> HttpCall:
    """Build one prediction; `gpt-image-2-free` becomes `openai/gpt-image-2-free` in the path."""
    path = model_path(ask.model)
    shape = shape_of(path, ask.aspect_ratio, ask.image_size, is_edit=bool(ask.references))
    asked: dict[str, Json] = {"prompt": ask.prompt, "n": 1, **shape}
    if ask.references:
        asked["image"] = ask.references[0] if len(ask.references) == 1 else list(ask.references)
    asked.update(config.extra_body)
    if ask.is_chosen:
        asked |= shape
        if ask.quality:
            asked["quality"] = ask.quality
    return HttpCall(f"{api_base}/models/{path}/predictions", headers(config), {"input": asked})


def model_path(model: str) -> str:
    """Expand a bare model id to the `<vendor>/<model>` that the API's path needs."""
    if "/" not in model and model.startswith(("gpt-image-", "dall-e-")):
        return f"openai/{model}"
    return model


def parse_response(body: Json) -> Answer:
    """Read any of the output shapes of a prediction."""
    answer, later = mapping(body), poll_url(body)
    if answer.get("error"):
        error = of_error_object(answer["error"])
        if later and isinstance(error, Transient | TimedOut):
            return Answer(poll_url=later, cost_usd=told_cost(answer))  # it is made all the same
        raise error
    pictures = _found(answer)
    stage = check(answer, has_pictures=bool(pictures))
    if pictures:
        return Answer(pictures=pictures, cost_usd=told_cost(answer))
    if later:
        return Answer(poll_url=later, cost_usd=told_cost(answer))
    if has_status(answer):
        return Answer(cost_usd=told_cost(answer), is_done=stage is Stage.DONE)
    raise _why_none(answer)


def parse_poll(body: Json) -> Answer:
    """Read how far a prediction is, with its pictures once they are there."""
    answer = mapping(body)
    pictures = _found(answer)
    stage = check(answer, has_pictures=bool(pictures))
    if pictures:
        return Answer(pictures=pictures, cost_usd=told_cost(answer))
    if stage is Stage.DONE and _said(answer):
        raise _why_none(answer)
    if has_status(answer) or poll_url(answer):
        return Answer(cost_usd=told_cost(answer), is_done=stage is Stage.DONE)
    raise of_garbage()


def poll_url(body: Json) -> str:
    """Find the address at which a prediction is asked for, which an error may tell as well."""
    answer = mapping(body)
    places = [answer, *items(answer.get("output")), answer.get("data"), answer.get("error")]
    return next(texts(*(mapping(place).get("polling_url") for place in places)), "")


def _why_none(answer: dict[str, Json]) -> ProviderError:
    """Tell why there is no picture: refused, talked instead, or nothing that makes sense."""
    said = _said(answer)
    if is_refused(said=said):
        return of_refusal(said)
    is_fair = said or answer.get("output") in ([], {}) or any(_drafts(answer, _DEPTH))
    return of_silence(clean(said, limit=2000)) if is_fair else of_garbage()


def _said(answer: dict[str, Json]) -> str:
    return " ".join(texts(*(mapping(item).get("text") for item in items(answer.get("output")))))


def _found(answer: dict[str, Json]) -> tuple[str, ...]:
    """Find the pictures of a prediction, of a chat completion in its place, or in the words beside."""
    of_chat = pictures_of(answer) if "choices" in answer else ()
    return tuple(_pictures(answer, _DEPTH)) or of_chat or tuple(images_in(_said(answer)))


def _pictures(value: Json, depth: int) -> Iterator[str]:
    """Find the pictures wherever the shapes put them: lists, objects, strings under known keys."""
    for item in items(value):
        if isinstance(item, str):
            yield from images_in(item) if "](" in item else texts(item)
        elif depth and isinstance(item, dict) and not _is_draft(item, depth):
            for key in _PICTURE_KEYS:
                if key in item:
                    yield from _pictures(item[key], depth - 1)


def _is_draft(item: dict[str, Json], depth: int) -> bool:
    """Tell an interim picture; of a whole answer the same words say something else."""
    return is_draft(item) if depth < _DEPTH else is_partial(item)


def _drafts(value: Json, depth: int) -> Iterator[bool]:
    """Tell of each object that may hold pictures whether it holds interim ones."""
    for item in map(mapping, items(value)):
        yield _is_draft(item, depth)
        for key in _PICTURE_KEYS if depth else ():
            yield from _drafts(item.get(key), depth - 1)


def smaller(image_size: str) -> str | None:
    """Name a size that is really smaller: explicit pixels come down to the ratio's standard size."""
    sides = explicit_size(image_size)
    return "1K" if sides and sides[0] * sides[1] > GPT_IMAGE_MOST_PIXELS else None


AIHUBMIX = Provider(
    spec=provider_specs.AIHUBMIX,
    build_request=build_request,
    parse_response=parse_response,
    parse_poll=parse_poll,
    poll_url=poll_url,
    bills_failures=True,
    smaller=smaller,
)
