"""Finds the images of a chat completion wherever gateways put them; another gateway may be behind an apiBase.

OpenRouter has them in `images` of the message. Others have them as parts of the content, in fields as of other APIs
(`b64_json`, `data`, `output`), or in the words. The first kind of place that has one counts, as others repeat it.
"""

from __future__ import annotations

from collections.abc import Iterator

from worker.answers.image_links import images_in
from worker.answers.untrusted_json import Json, is_draft, items, mapping, text, texts

MAX_CHOICES = 16
MAX_PARTS = 200  # of a content
_DEPTH = 4
_CONTENTS = ("content", "parts", "multi_mod_content")  # the last one is AIHubMix's
_BASE64 = ("b64_json", "image_base64", "bytesBase64Encoded", "bytesBase64", "base64")
_CARRIERS = ("image_url", "imageUrl", "image", "inline_data", "inlineData")  # make an image of the part that has one
_PLACES = (*_CARRIERS, "source", "file", "file_data", "data", "result", "url", "uri", "fileUri")
_MIME_TYPES = ("mime_type", "mimeType", "media_type", "mediaType")
_STARTS = ("https://", "http://", "data:image/", "data:;", "data:application/octet-stream")
_MAGIC = ("iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR")  # how PNG, JPEG, GIF and WebP begin in base64


def pictures_of(answer: dict[str, Json], *, in_words: bool = True) -> tuple[str, ...]:
    """Find the images of all choices: base64, data URLs and links, the last two also `in_words`."""
    messages = [message_of(choice) for choice in choices_of(answer)]
    words = _in_words(messages) if in_words else ()
    for found in (_listed(messages), _in_contents(messages), _in_fields(answer, messages), words):
        if pictures := tuple(found):
            return pictures
    return ()


def choices_of(answer: dict[str, Json]) -> list[dict[str, Json]]:
    """Take the choices that are looked at."""
    return [mapping(choice) for choice in items(answer.get("choices"))[:MAX_CHOICES]]


def message_of(choice: dict[str, Json]) -> Json:
    """Find a choice's message; in a stream that was not asked for it is called `delta`."""
    return choice.get("message", choice.get("delta"))


def words_of(message: Json) -> str:
    """Put together what a message says in words."""
    said = (part if isinstance(part, str) else mapping(part).get("text") for part in _parts(message))
    return "\n".join(texts(*said))


def is_fair(choice: Json) -> bool:
    """Tell a choice without an image from one that has something else in its place."""
    message = message_of(choice) if isinstance(choice, dict) else ""
    if not isinstance(message, dict):
        return message is None
    images = message.get("images", [])
    parts = [part for part in map(mapping, _parts(message)) if _is_image(part)]
    return isinstance(images, list) and all(_is_draft(mapping(image)) for image in [*images, *parts])


def _listed(messages: list[Json]) -> Iterator[str]:
    for image in (image for message in messages for image in items(mapping(message).get("images"))):
        if not _is_draft(mapping(image)):
            yield from _image(image)


def _in_contents(messages: list[Json]) -> Iterator[str]:
    for part in (part for message in messages for part in map(mapping, _parts(message))):
        if _is_image(part) and not _is_draft(part):
            yield from _image(part)


def _in_fields(answer: dict[str, Json], messages: list[Json]) -> Iterator[str]:
    """Look where other APIs have images, and where the message itself is one."""
    whole = [*items(answer.get("data")), *items(answer.get("images")), *items(answer.get("output"))]
    outputs = [part for item in whole for part in items(mapping(item).get("content"))]
    for image in [*messages, *choices_of(answer), *whole, *outputs, answer]:
        fields = {name: value for name, value in mapping(image).items() if name not in ("message", "delta")}
        if not _is_draft(fields):
            yield from _held(fields, _DEPTH) if image is not answer else _first(fields, _BASE64, _DEPTH)


def _in_words(messages: list[Json]) -> Iterator[str]:
    for message in messages:
        yield from images_in(words_of(message))


def _image(image: Json) -> Iterator[str]:
    """Yield what stands where an image is expected: whatever its address is, `worker/http/download.py` judges it."""
    link = _link(mapping(image))
    yield from texts(mapping(link).get("url"), link) if link else _held(image, _DEPTH)


def _held(image: Json, depth: int) -> Iterator[str]:
    """Yield what an object that stands for an image holds: base64 rather than links, as it is the same image."""
    if isinstance(image, str):
        start = image.lstrip()[:40]
        if start.lower().startswith(_STARTS) or start.startswith(_MAGIC):
            yield image
    elif isinstance(image, dict) and depth and _may_be_image(image):
        yield from list(_first(image, _BASE64, depth)) or _first(image, _PLACES, depth)


def _first(image: dict[str, Json], names: tuple[str, ...], depth: int) -> list[str]:
    """Take what stands under the first of these names that has something."""
    for name in names:
        found = [
            held
            for value in items(image.get(name))
            for held in (texts(value) if names is _BASE64 else _held(value, depth - 1))
        ]
        if found:
            return found
    return []


def _parts(message: Json) -> list[Json]:
    return [part for name in _CONTENTS for part in items(mapping(message).get(name))[:MAX_PARTS]]


def _is_image(part: dict[str, Json]) -> bool:
    """Tell a part of a content that is an image from words, sounds and files."""
    if any(text(part.get(name)).startswith("image/") for name in _MIME_TYPES):
        return True
    is_one = "image" in text(part.get("type")).lower() or part.keys() & {*_CARRIERS, *_BASE64}
    return bool(is_one) and _may_be_image(part)


def _may_be_image(part: dict[str, Json]) -> bool:
    """Tell what says that it is of another type from an image."""
    told = [text(part.get(name)).lower() for name in _MIME_TYPES if name in part]
    return all(mime.startswith("image/") or mime in ("", "application/octet-stream") for mime in told)


def _link(image: dict[str, Json]) -> Json:
    return image.get("image_url") or image.get("imageUrl")


def _is_draft(image: dict[str, Json]) -> bool:
    return is_draft(image) or is_draft(mapping(_link(image)))
