"""Where images live, what their sidecars say, and reading pairs back.

    <media>/<saveDir>/YYYY-MM-DD/img_<12 hex>.<ext>   the image
    <media>/<saveDir>/YYYY-MM-DD/img_<12 hex>.json    its sidecar; its presence means the pair is complete

The id is derived from job and index, so a job that is run again cannot make a second one.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from datetime import datetime
from pathlib import Path, PurePosixPath

from contract.errors.configuration_catalogue import SAVE_DIR_INVALID
from contract.errors.exceptions import Refused
from contract.errors.request_catalogue import ARTIFACT_NOT_FOUND
from contract.frozen_model import Stored
from contract.jobs.job import Attempt, Degraded, Image, Job, Rendition

UPLOAD = "up_"  # begins the ids of uploaded pictures; their sha256 follows

_ARTIFACT_ID = re.compile(r"img_[0-9a-f]{12}")
_UPLOAD_ID = re.compile(UPLOAD + "([0-9a-f]{64})")
_LIKE_AN_ID = re.compile(r"(img_|up_)\w{0,80}", re.ASCII)
_RESERVED = frozenset({"con", "prn", "aux", "nul"})
_TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{12}\.tmp")


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


def artifact_id(job_id: str, index: int) -> str:
    """Name the artifact of a job's image."""
    return "img_" + hashlib.sha256(f"{job_id}:{index}".encode()).hexdigest()[:12]


def is_artifact_id(text: str) -> bool:
    """Tell whether a text has the form of an artifact id."""
    return _ARTIFACT_ID.fullmatch(text) is not None


def is_like_an_id(text: str) -> bool:
    """Tell whether a text is meant as the id of an artifact or an upload, be it right or mistyped."""
    return _LIKE_AN_ID.fullmatch(text) is not None


def uploaded(text: str) -> str | None:
    """Read the sha256 out of the id of an uploaded picture; None for any other text."""
    found = _UPLOAD_ID.fullmatch(text)
    return found[1] if found else None


def temporary_name(name: str) -> str:
    """Name a file that is to have a name once it is whole."""
    return f".{name}.{secrets.token_hex(6)}.tmp"


def write_whole(path: Path, data: bytes) -> None:
    """Put a whole file under a name, for us alone. Raises OSError."""
    temporary = path.with_name(temporary_name(path.name))
    try:
        with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def meant_name(temporary: str) -> str | None:
    """Tell which name a temporary file is for; None for the name of any other file."""
    found = _TEMPORARY.fullmatch(temporary)
    return found[1] if found else None


def folder_parts(save_dir: str, day: datetime) -> tuple[str, ...]:
    """Split the artifact directory of a local day into parts below the media directory.

    Raises Refused (`save_dir_invalid`) unless every part of saveDir is a plain name.
    """
    parts = PurePosixPath(save_dir).parts
    plain = (
        bool(parts)
        and len(save_dir.encode("utf-8", "replace")) <= 200
        and "/".join(parts) == save_dir.rstrip("/")
        and all(_is_plain(part) for part in parts)
    )
    if not plain:
        raise Refused(SAVE_DIR_INVALID)
    return (*parts, day.strftime("%Y-%m-%d"))


def _is_plain(part: str) -> bool:
    return (
        part not in ("", ".", "..", "/")
        and not part.startswith("-")
        and not part.endswith((".", " "))
        and part.split(".")[0].lower() not in _RESERVED
        and not any(char == "\\" or not char.isprintable() for char in part)
    )


def find_image(media: Path, save_dir: str, artifact: str) -> Path | None:
    """Find the image of an artifact id in any day's directory, also of one that nanobot itself made."""
    for sidecar in (media / save_dir).glob(f"????-??-??/{artifact}.json"):
        try:
            return sidecar.parent / PurePosixPath(json.loads(sidecar.read_bytes())["path"]).name
        except (OSError, ValueError, TypeError, KeyError):
            continue
    return None


def path_here(path: str, media: Path, save_dir: str) -> Path:
    """Find one of our images also where the media directory has another path than its worker's had; blocking."""
    given = Path(path)
    if not given.is_relative_to(media) and is_artifact_id(given.stem):
        return find_image(media, save_dir, given.stem) or given
    return given


def remove_files(job: Job, media: Path, save_dir: str) -> None:
    """Remove a job's images and sidecars, the sidecars first; blocking. What is outside of `media` stays."""
    for image in job.images:
        path = path_here(image.path, media, save_dir)
        if path.is_relative_to(media) and ".." not in path.parts:
            path.with_suffix(".json").unlink(missing_ok=True)
            path.unlink(missing_ok=True)


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
