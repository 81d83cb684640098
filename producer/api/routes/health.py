"""Is this process alive, and could it take a job now? For supervisors and load balancers; no token is needed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import PlainTextResponse, Response

from contract.monitoring.fleet import own_build
from producer.api.dependencies import Here
from producer.api.job_json import json_response
from producer.api.openapi import READY, errors
from producer.api.problem_details import UNAVAILABLE_S
from producer.api.services.readiness import shown

NO_TOKEN = ("400", "414", "421", "431", "500")  # what can go wrong without one

router = APIRouter(tags=["health"])
Verbose = Annotated[str | None, Query(description="With any value, the response lists the checks.")]


@router.get("/livez", response_class=PlainTextResponse, responses=errors(always=NO_TOKEN))
@router.get("/health", response_class=PlainTextResponse, include_in_schema=False)
async def livez() -> Response:
    """Tell that this process answers, whatever Redis does."""
    return PlainTextResponse("ok\n")


@router.get("/readyz", responses=READY | errors(always=(*NO_TOKEN, "422")))
@router.get("/healthz", include_in_schema=False)
async def readyz(gateway: Here, verbose: Verbose = None) -> Response:
    """Tell whether a job could be taken now; `?verbose` says what was looked at."""
    checks, installation = await gateway.readiness.look()
    is_ready = all(check.ok for check in checks.values() if check.needed)
    told = {"checks": shown(checks), "installation": installation, "version": own_build().words}
    return json_response(
        {"ready": is_ready} | ({} if verbose is None else told),
        status=200 if is_ready else 503,
        headers={} if is_ready else {"Retry-After": str(UNAVAILABLE_S)},
    )
