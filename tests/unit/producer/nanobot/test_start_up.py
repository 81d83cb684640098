"""What nanobot loads of ours while it starts is light: the plugin alone, in a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys

# nanobot stands for itself here: its names are classes that do nothing. `tests/acceptance/nanobot` has the real one.
FRESH = """
import importlib.metadata, json, sys, time
from importlib.machinery import ModuleSpec
from types import ModuleType
import pydantic  # which nanobot has anyway

class Names(type):
    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything

class Anything(metaclass=Names):
    def __init__(self, *args, **named):
        pass
    def __call__(self, given):
        return given

class Package(ModuleType):
    __path__ = []
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (Anything,), {})

class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return ModuleSpec(name, Finder) if name.partition(".")[0] in ("nanobot", "loguru") else None
    @staticmethod
    def create_module(spec):
        return Package(spec.name)
    @staticmethod
    def exec_module(module):
        pass

sys.meta_path.insert(0, Finder)
importlib.metadata.version = lambda name: "0.3.5"
before, began = set(sys.modules), time.process_time()
from producer.nanobot.plugin import CancelImageJob, GenerateImage, ImageJobStatus
took = time.process_time() - began
names = [GenerateImage.__module__, ImageJobStatus.__module__, CancelImageJob.__module__]
print(json.dumps({"tools": names, "loaded": sorted(set(sys.modules) - before), "took": took}))
"""
OURS = {
    "contract",
    "contract.errors",
    "contract.aspect_ratio",
    "contract.frozen_model",
    "contract.image_size",
    "contract.provider_specs",
    "contract.settings",
    "contract.settings.running_stack",
    "producer",
    "producer.chat",
    "producer.chat.turn",
    "producer.nanobot",
}
NANOBOTS = {
    "nanobot",
    "loguru",
    "pydantic",
    "pydantic_core",
    "annotated_types",
    "typing_extensions",
    "typing_inspection",
}
AT_MOST_S = 2.0  # of processor time; it takes less than a tenth of a second


def test_the_plugin_loads_itself_its_turns_and_its_words_and_nothing_heavy() -> None:
    told = json.loads(subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True, check=True).stdout)
    print(f"the plugin is imported in {1000 * told['took']:.0f} ms of processor time")
    packages = {name.partition(".")[0] for name in told["loaded"]} - sys.stdlib_module_names
    strangers = {name for name in packages - NANOBOTS if not name.startswith("_")}
    ours = {name for name in told["loaded"] if name.partition(".")[0] in ("contract", "producer", "worker")}
    others = {name for name in ours - OURS if not name.startswith(("contract.errors.", "producer.nanobot."))}
    assert told["tools"] == ["producer.nanobot.tools"] * 3
    assert strangers == {"contract", "producer"}
    assert others == set()
    assert told["took"] < AT_MOST_S
