"""All errors that both sides may tell, by their codes; the constants are in the catalogues by subject.

docs/reference/errors.md is made from them and the gateway's (`make docs`).
"""

from __future__ import annotations

import re

from contract.errors.catalogue import configuration, job_failure, provider, queue, request
from contract.errors.kind import ErrorKind, kinds_in, permanent

REQUEST, CONFIGURATION, QUEUE, PROVIDER, JOB = (
    kinds_in(vars(module)) for module in (request, configuration, queue, provider, job_failure)
)
KINDS: dict[str, ErrorKind] = REQUEST | CONFIGURATION | QUEUE | PROVIDER | JOB

_CODE = re.compile(r"[a-z][a-z0-9_]{0,60}", re.ASCII)


def look_up(code: str) -> ErrorKind:
    """Find a code that was read from the job table; one that a newer version has added is told as such."""
    if code in KINDS:
        return KINDS[code]
    name = code if _CODE.fullmatch(code) else "unknown"
    return permanent(
        name,
        name.replace("_", " ").capitalize(),
        f"It failed with {name}, an error of a newer Darkroom that this version does not know.",
        "The operator should run the same version everywhere; `darkroom doctor` lists the versions.",
        status=502,
    )
