"""What nanobot loads by the entry points of `nanobot.tools`: the tools, or one line in its log why there are none.

nanobot takes no notice of an entry point that is no tool.
"""

from __future__ import annotations

import importlib
import re
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

from producer.nanobot.log import say

OLDEST = (0, 3)


def _load() -> ModuleType | None:
    """Import the tools if this nanobot can have them, else say why not."""
    try:
        installed = version("nanobot-ai")
    except PackageNotFoundError:  # a nanobot that was not installed: its modules tell
        installed = "of an unknown version"
    numbers = re.match(r"(\d+)\.(\d+)", installed)
    if numbers and (int(numbers[1]), int(numbers[2])) < OLDEST:
        say(f"Darkroom: its plugin needs nanobot 0.3.0 or newer, and this is {installed}; nanobot stays as it is.")
        return None
    try:
        return importlib.import_module("producer.nanobot.tools")
    except Exception as error:  # noqa: BLE001 - whatever another nanobot lacks: it must start all the same
        say(
            f"Darkroom: its plugin does not fit nanobot {installed}, which stays as it is; install newer versions of "
            f"both ({type(error).__name__}: {error})."
        )
        return None


_tools = _load()
GenerateImage = getattr(_tools, "GenerateImage", None)
ImageJobStatus = getattr(_tools, "ImageJobStatus", None)
CancelImageJob = getattr(_tools, "CancelImageJob", None)
