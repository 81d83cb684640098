"""Is this process alive, and could it take a job now? For supervisors and load balancers; no token is needed."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import PlainTextResponse, Response

from producer.api.gateway import Here
from producer.api.problem import UNAVAILABLE_S
from producer.api.view import json_response

router = APIRouter(tags=["health"])


@router.get("/livez", response_class=PlainTextResponse)
@router.get("/health", response_class=PlainTextResponse, include_in_schema=False)
async def livez() -> Response:
    """Tell that this process answers, whatever Redis does."""
    return PlainTextResponse("ok\n")


@router.get("/readyz", responses={200: {"description": "It could take a job."}, 503: {"description": "It could not."}})
@router.get("/healthz", include_in_schema=False)
async def readyz(gateway: Here, verbose: str | None = None) -> Response:
    """Tell whether a job could be taken now; `?verbose` says what was looked at."""
    checks = await gateway.checks()
    is_ready = all(check["ok"] for check in checks.values() if check["needed"])
    shown = {"ready": is_ready} | ({} if verbose is None else {"checks": checks})
    return json_response(
        shown, status=200 if is_ready else 503, headers={} if is_ready else {"Retry-After": str(UNAVAILABLE_S)}
    )
