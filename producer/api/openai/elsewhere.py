"""What OpenAI's API has and Darkroom has not: a client is told in that API's words what to use instead."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from contract.errors.exceptions import Refused
from producer.error_catalogue import IMAGES_ONLY

WHAT = {
    "/v1/images/variations": "Variations",
    "/v1/chat/completions": "Chat",
    "/v1/completions": "Text",
    "/v1/responses": "The Responses API",
    "/v1/responses/{rest:path}": "The Responses API",
    "/v1/embeddings": "Embeddings",
    "/v1/moderations": "Moderation",
    "/v1/audio/{rest:path}": "Audio",
}

router = APIRouter(include_in_schema=False)


async def refuse(request: Request) -> Response:
    """Say what to use instead. Raises Refused."""
    raise Refused(IMAGES_ONLY, what=WHAT[request.scope["route"].path])


for path in WHAT:
    router.add_api_route(path, refuse, methods=["DELETE", "GET", "POST"])
