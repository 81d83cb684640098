"""LiteLLM's SDK makes or edits an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import litellm

from tests.clients.programs.telling import MODEL, PICTURE, PROMPT, SIZE, TOKEN, URL, tell

GATEWAY = {"model": f"openai/{MODEL}", "api_base": f"{URL}/v1", "api_key": TOKEN}


def images(answer: Any) -> list[str]:
    """Take the images out of an answer."""
    return [image.b64_json or image.url or "" for image in answer.data or ()]


def edited() -> list[str]:
    """Edit the picture."""
    with Path(PICTURE).open("rb") as picture:
        return images(litellm.image_edit(image=[picture], prompt=PROMPT, **GATEWAY))


tell(generate=lambda: images(litellm.image_generation(prompt=PROMPT, size=SIZE, **GATEWAY)), edit=edited)
