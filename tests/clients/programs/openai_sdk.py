"""OpenAI's Python SDK makes or edits an image."""

from __future__ import annotations

from pathlib import Path

from openai import OpenAI
from openai.types import ImagesResponse

from tests.clients.programs.telling import MODEL, PICTURE, PROMPT, SIZE, TOKEN, URL, tell

client = OpenAI(base_url=f"{URL}/v1", api_key=TOKEN)


def images(answer: ImagesResponse) -> list[str]:
    """Take the images out of an answer."""
    return [image.b64_json or image.url or "" for image in answer.data or ()]


tell(
    generate=lambda: images(client.images.generate(model=MODEL, prompt=PROMPT, size=SIZE)),
    edit=lambda: images(client.images.edit(model=MODEL, prompt=PROMPT, image=Path(PICTURE))),
)
