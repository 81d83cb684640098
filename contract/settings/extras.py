"""What a part of Darkroom needs beyond the base install: checked before it starts, and told in one sentence."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

from contract.errors.exceptions import ConfigInvalid, Problem

DISTRIBUTION = "nanobot-darkroom"
NANOBOT = "nanobot-ai"
SHOWN = 3  # packages that are named


def check_extra(extra: str, *, part: str) -> None:
    """Raise ConfigInvalid if a part of Darkroom cannot run here for want of an extra."""
    if missing := lacking(extra):
        raise ConfigInvalid([Problem(part, told_lacking(extra, missing))])


def lacking(extra: str) -> list[str]:
    """Name the packages of an extra that are not installed here, or in a version that does not do."""
    try:
        wanted = [Requirement(line) for line in requires(DISTRIBUTION) or ()]
    except PackageNotFoundError:  # run from a clone by its path: its imports tell
        return []
    return sorted(
        {
            each.name
            for each in wanted
            if each.marker is not None and not each.marker.evaluate() and each.marker.evaluate({"extra": extra})
            if not _is_installed(each)
        }
    )


def told_lacking(extra: str, missing: list[str]) -> str:
    """Say in a sentence what is missing, and how to get it without harm to the nanobot that may live here."""
    more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
    lack = f"needs the extra [{extra}], which is not installed here ({', '.join(missing[:SHOWN])}{more})"
    return f"{lack}: {how_to_install(extra)}"


def how_to_install(extra: str) -> str:
    """Write how to install an extra; never into nanobot's environment, whose packages it would replace."""
    if is_nanobots():
        return (
            f"{sys.prefix} is nanobot's environment, which only takes the plugin, so give this one of its own: "
            "in a clone of Darkroom, `make setup` makes .venv, or `pipx install '.[all]'` or `uv tool install '.[all]'`"
        )
    return f"in a clone of Darkroom, `pip install '.[{extra}]'`, or '.[all]' for everything"


def is_nanobots() -> bool:
    """Tell whether this Python is nanobot's."""
    return _version_of(NANOBOT) is not None


def _is_installed(wanted: Requirement) -> bool:
    found = _version_of(wanted.name)
    return found is not None and wanted.specifier.contains(found, prereleases=True)


def _version_of(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
