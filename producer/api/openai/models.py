"""OpenAI's list of models: those that a request may name."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from contract.errors.exceptions import Refused
from producer.api.authentication import Reader
from producer.api.dependencies import Gateway, Here
from producer.api.job_json import json_response
from producer.api.openai.openapi import MODEL, MODELS
from producer.api.openai.request import is_model
from producer.error_catalogue import UNKNOWN_MODEL

router = APIRouter(prefix="/v1/models", tags=["OpenAI"])


@router.get("", responses=MODELS)
async def models(gateway: Here, _: Reader) -> Response:
    """List the models, the default one first."""
    names = gateway.settings.models(gateway.settings.image.provider)
    return json_response({"object": "list", "data": [_model(gateway, name) for name in names]})


@router.get("/{model:path}", responses=MODEL)
async def model(gateway: Here, _: Reader, model: str) -> Response:
    """Look at one model; OpenAI's own names stand for the default one."""
    if not is_model(model, gateway.settings):
        raise Refused(UNKNOWN_MODEL)
    return json_response(_model(gateway, model))


def _model(gateway: Gateway, name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": gateway.settings.image.provider}
