"""Darkroom's public Python API: the client, its settings, and the errors that it raises.

Everything else in the packages `producer`, `worker` and `contract` may move between versions.
"""

from contract.errors.exceptions import ConfigInvalid, DarkroomError, Refused, Unavailable
from contract.jobs.job import Job
from contract.settings.loader import load_settings
from producer.client.client import Darkroom

__all__ = ["ConfigInvalid", "Darkroom", "DarkroomError", "Job", "Refused", "Unavailable", "load_settings"]
