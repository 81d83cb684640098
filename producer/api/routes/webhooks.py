"""What a receiver of webhooks needs to know: the secret that they are signed with."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from contract.webhook import signing_secret
from producer.api.authentication import Submitter
from producer.api.dependencies import Here
from producer.api.job_json import json_response
from producer.api.openapi import SECRET, errors

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])


@router.get("/secret", responses=SECRET | errors())
async def secret(gateway: Here, caller: Submitter) -> Response:
    """Get the secret that webhooks of your jobs are signed with, unless a job brought its own."""
    return json_response({"secret": signing_secret(gateway.secret, caller.owner)})
