"""A job for readers who cannot see this machine's disk."""

from __future__ import annotations

from typing import Any

from contract.jobs.ids import is_artifact_id, uploaded
from contract.jobs.job import Job


def public_json(job: Job, *, with_paths: bool = False) -> dict[str, Any]:
    """Write a job as JSON values, its images with links below the gateway's own address.

    Paths of this machine, also those of reference images, are included only `with_paths`.
    """
    told: dict[str, Any] = job.model_dump(mode="json")
    for image in told["images"]:
        image["url"] = f"/v1/artifacts/{image['id']}"
    if not with_paths:
        references = told["request"]["reference_images"]
        told["request"]["reference_images"] = [name for name in references if _is_id(name)]
        for image in told["images"]:
            del image["path"], image["sidecar"]
    return told


def _is_id(reference: str) -> bool:
    """Tell whether a reference says nothing of this machine's disk."""
    return reference == "latest" or is_artifact_id(reference) or uploaded(reference) is not None
