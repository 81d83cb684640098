"""Where artifacts lie below the media directory.

<media>/<saveDir>/YYYY-MM-DD/img_<12 hex>.<ext>   the image
<media>/<saveDir>/YYYY-MM-DD/img_<12 hex>.json    its sidecar; its presence means the pair is complete
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path, PurePosixPath

from contract.errors.configuration_catalogue import SAVE_DIR_INVALID
from contract.errors.exceptions import Refused
from contract.jobs.ids import is_artifact_id
from contract.jobs.job import Job

_RESERVED = frozenset({"con", "prn", "aux", "nul"})


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
