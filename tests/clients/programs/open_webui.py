"""Open WebUI's server is asked for an image the way its page asks it: signed in, over its own API."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import httpx

from tests.clients.programs.telling import MODEL, PICTURE, PROMPT, SIZE, TOKEN, URL, tell

page = httpx.Client(base_url=os.environ["OPEN_WEBUI"], timeout=120)
SETTINGS = {
    "ENABLE_IMAGE_GENERATION": True,
    "ENABLE_IMAGE_PROMPT_GENERATION": False,
    "IMAGE_GENERATION_ENGINE": "openai",
    "IMAGE_GENERATION_MODEL": MODEL,
    "IMAGE_SIZE": SIZE,
    "IMAGES_OPENAI_API_BASE_URL": f"{URL}/v1",
    "IMAGES_OPENAI_API_KEY": TOKEN,
    "ENABLE_IMAGE_EDIT": True,
    "IMAGE_EDIT_ENGINE": "openai",
    "IMAGE_EDIT_MODEL": MODEL,
    "IMAGES_EDIT_OPENAI_API_BASE_URL": f"{URL}/v1",
    "IMAGES_EDIT_OPENAI_API_KEY": TOKEN,
}


def asked(path: str, body: dict[str, Any]) -> Any:
    """Send a request of the page; an error has the words that the page shows."""
    answer = page.post(path, json=body)
    if answer.is_error:
        raise RuntimeError(answer.json().get("detail") or answer.reason_phrase)
    return answer.json()


def sign_in() -> None:
    """Sign in as the only user, and have the server ask our gateway."""
    page.headers["Authorization"] = f"Bearer {asked('/api/v1/auths/signin', {'email': '', 'password': ''})['token']}"
    configured = page.get("/api/v1/images/config").raise_for_status().json()
    asked("/api/v1/images/config/update", {**configured, **SETTINGS})


def fetched(images: list[dict[str, str]]) -> list[str]:
    """Fetch the files that images became."""
    return [base64.b64encode(page.get(image["url"]).raise_for_status().content).decode() for image in images]


def generate() -> list[str]:
    """Make an image."""
    sign_in()
    return fetched(asked("/api/v1/images/generations", {"prompt": PROMPT}))


def edit() -> list[str]:
    """Edit the picture."""
    sign_in()
    picture = f"data:image/png;base64,{base64.b64encode(Path(PICTURE).read_bytes()).decode()}"
    return fetched(asked("/api/v1/images/edit", {"prompt": PROMPT, "image": picture}))


tell(generate=generate, edit=edit)
