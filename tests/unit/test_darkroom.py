"""`import darkroom` is the public Python API, wherever Python runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import darkroom
from contract.errors import exceptions
from contract.jobs.job import Job
from contract.settings.loader import load_settings
from producer.client.client import Darkroom


def test_users_find_the_client_its_settings_its_jobs_and_what_it_raises() -> None:
    found = {name: getattr(darkroom, name) for name in darkroom.__all__}
    errors = (exceptions.ConfigInvalid, exceptions.DarkroomError, exceptions.Refused, exceptions.Unavailable)
    known = (Darkroom, Job, *errors)
    assert found == {"load_settings": load_settings, **{each.__name__: each for each in known}}


def test_type_checkers_of_users_find_its_types() -> None:
    assert (Path(darkroom.__file__).parent / "py.typed").is_file()


def test_an_environment_of_make_setup_has_it_in_every_folder(tmp_path: Path) -> None:
    command = (sys.executable, "-c", "import darkroom; print(darkroom.__file__)")
    told = subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, text=True, check=True).stdout
    assert told.strip() == darkroom.__file__
