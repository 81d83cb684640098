"""What a webhook says: `{"type": "job.succeeded", "timestamp": "…", "data": {the job as `public_json` writes it}}`."""

from __future__ import annotations

import json

from contract.jobs.job import Job
from contract.jobs.public_json import public_json


def event(job: Job) -> tuple[str, bytes]:
    """Tell a job's end; the same id and the same bytes each time."""
    data = public_json(job)
    told = {"type": f"job.{job.state}", "timestamp": data["ended_at"], "data": data}
    return f"msg_{job.id}", json.dumps(told, separators=(",", ":")).encode()
