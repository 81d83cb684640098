"""LangChain's wrapper of OpenAI's image API makes an image; it cannot edit."""

from __future__ import annotations

from langchain_community.utilities.dalle_image_generator import DallEAPIWrapper

from tests.clients.programs.telling import MODEL, PROMPT, SIZE, TOKEN, URL, tell

tell(generate=lambda: [DallEAPIWrapper(model=MODEL, size=SIZE, base_url=f"{URL}/v1", api_key=TOKEN).run(PROMPT)])
