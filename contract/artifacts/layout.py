"""Where artifacts lie below the media directory.

<media>/<saveDir>/YYYY-MM-DD/img_<12 hex>.<ext>   the image
<media>/<saveDir>/YYYY-MM-DD/img_<12 hex>.json    its sidecar; its presence means the pair is complete
"""

from __future__ import annotations

from datetime import datetime
from pathlib import PurePosixPath

from contract.errors.catalogue.configuration import SAVE_DIR_INVALID
from contract.errors.exceptions import Refused

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
