"""The sidecar: the JSON next to an image, which says how it was made; its presence means the pair is complete.

The id is derived from job and index, so a job that is run again cannot make a second one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import Protocol, Self

from contract.frozen_model import Stored
from contract.jobs import wording
from contract.jobs.ids import artifact_id
from contract.jobs.job import Attempt, Degraded, Image, Job, ReferenceSnapshot, Rendition
from contract.jobs.measure import delivery_of


class Picture(Protocol):
    """A decoded image, as far as its sidecar describes it."""

    @property
    def data(self) -> bytes | bytearray: ...
    @property
    def extension(self) -> str: ...
    @property
    def mime(self) -> str: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def sha256(self) -> str: ...
    @property
    def warnings(self) -> tuple[str, ...]: ...


class Sidecar(Stored):
    """The JSON next to an image: nanobot's eight fields first, then ours."""

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
    warnings: tuple[str, ...] = ()  # what is odd about the image, in words

    @classmethod
    def of(
        cls,
        job: Job,
        index: int,
        picture: Picture,
        *,
        locator: Callable[[Job, str], str],
        attempt: Attempt,
        attempts: Sequence[Attempt],
        requested: Rendition,
        snapshots: Sequence[ReferenceSnapshot],
        reasons: Sequence[str],
        created_at: datetime,
    ) -> Self:
        """Describe an image that `attempt` has brought; `attempts` those made for it, `reasons` why it is degraded."""
        name, ratio = artifact_id(job.id, index), job.request.aspect_ratio
        others = () if attempt.index == index else (attempt,)
        delivered, remark = delivery_of(attempt, ratio, picture.width, picture.height)
        return cls(
            id=name,
            path=locator(job, f"{name}.{picture.extension}"),
            mime=picture.mime,
            prompt=job.request.prompt,
            model=attempt.model,
            provider=attempt.provider,
            source_images=tuple(snapshot.source for snapshot in snapshots),
            created_at=created_at.astimezone().isoformat(timespec="seconds"),
            job_id=job.id,
            index=index,
            width=picture.width,
            height=picture.height,
            sha256=picture.sha256,
            bytes=len(picture.data),
            requested=requested.model_copy(update={"aspect_ratio": ratio}),
            delivered=delivered,
            degraded=_why(attempt, reasons, remark),
            attempts=(*attempts, *others),
            cost_usd=_cost(attempts, is_paid_elsewhere=bool(others)),
            warnings=(*picture.warnings, *map(wording.beside, others)),
        )

    def image(self) -> Image:
        """Tell what the job table keeps of this artifact."""
        degraded = None
        if self.degraded is not None:
            degraded = Degraded(requested=self.requested, delivered=self.delivered, reason=self.degraded)
        return Image(
            **self.model_dump(include={"id", "index", "path", "mime", "width", "height", "bytes", "sha256"}),
            degraded=degraded,
            sidecar=str(PurePosixPath(self.path).with_suffix(".json")),
        )


def _why(attempt: Attempt, reasons: Sequence[str], remark: str) -> str | None:
    """Say why an image is not as requested: its rung is a lower one, or the picture is not what was asked for."""
    why = dict.fromkeys([*(reasons if attempt.rung else ()), remark])
    return "; ".join(filter(None, why)) if attempt.rung or remark else None


def _cost(attempts: Sequence[Attempt], *, is_paid_elsewhere: bool) -> float | None:
    costs = [attempt.cost_usd for attempt in attempts if attempt.cost_usd is not None]
    return round(sum(costs), 6) if costs or is_paid_elsewhere else None
