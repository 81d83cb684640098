"""Which artifact store an installation is configured with, and which files a caller may name as references."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from contract.artifacts.artifact_store import ArtifactStore
from contract.artifacts.local_directory.local_directory import LocalDirectory
from contract.artifacts.reference_files import ReferenceFiles
from contract.settings.loader import Settings

DAY_S = 86400.0
LEAST_DAYS = 3  # a job that begins before midnight ends on the next day, and clocks differ


def open_artifact_store(settings: Settings, *, reach: Callable[[str], None] = lambda _: None) -> ArtifactStore:
    """Open the store of an installation; `reach` is told of each step of a put, for tests that kill a writer there."""
    env = settings.env
    return LocalDirectory(
        media=settings.media,
        save_dir=settings.image.save_dir,
        home=settings.home,
        job_days=LEAST_DAYS + int((env.queue_seconds + env.deadline_seconds) / DAY_S),
        reach=reach,
    )


def open_reference_files(settings: Settings, roots: Sequence[Path] = ()) -> ReferenceFiles:
    """Open what may be named by a path: workspace, media directory, and what lies below `roots`."""
    return ReferenceFiles(roots=(settings.workspace, settings.media, *roots), workspace=settings.workspace)
