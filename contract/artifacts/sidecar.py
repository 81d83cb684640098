"""The sidecar: the JSON beside an image, which says how it came about; its presence means the pair is complete.

The id is derived from job and index, so a job that is run again cannot make a second one.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from contract.errors.exceptions import Refused
from contract.errors.request_catalogue import ARTIFACT_NOT_FOUND
from contract.frozen_model import Stored
from contract.jobs.job import Attempt, Degraded, Image, Rendition


class Sidecar(Stored):
    """The JSON beside an image: nanobot's eight fields first, then ours."""

    id: str
    path: str
    mime: str
    prompt: str
    model: str
    provider: str
    source_images: tuple[str, ...]
    created_at: str  # ISO 8601 with offset, local time
    job_id: str
    index: int
    width: int
    height: int
    sha256: str
    bytes: int
    requested: Rendition
    delivered: Rendition
    degraded: str | None  # why it is not as requested, in words
    attempts: tuple[Attempt, ...]
    cost_usd: float | None
    warnings: tuple[str, ...] = ()  # what is odd about the picture, in words

    def image(self) -> Image:
        """Tell what the job table keeps of this artifact."""
        degraded = None
        if self.degraded is not None:
            degraded = Degraded(requested=self.requested, delivered=self.delivered, reason=self.degraded)
        return Image(
            **self.model_dump(include={"id", "index", "path", "mime", "width", "height", "bytes", "sha256"}),
            degraded=degraded,
            sidecar=str(Path(self.path).with_suffix(".json")),
        )


def read_record(image: Path) -> Sidecar:
    """Read the sidecar of one of our images. Raises Refused (`artifact_not_found`) when it has none."""
    try:
        return Sidecar.model_validate_json(image.with_suffix(".json").read_bytes())
    except (OSError, ValueError) as error:
        raise Refused(ARTIFACT_NOT_FOUND) from error


def read_sidecar(path: Path) -> Sidecar | None:
    """Read one of our sidecars if its image is whole; None for anything less."""
    try:
        sidecar = Sidecar.model_validate_json(path.read_bytes())
        data = Path(sidecar.path).read_bytes()
    except (OSError, ValueError):  # ValueError: no sidecar of ours, or a path with NUL
        return None
    return sidecar if hashlib.sha256(data).hexdigest() == sidecar.sha256 else None
