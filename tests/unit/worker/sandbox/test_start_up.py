"""What a reader process loads: decoders and the words of errors. No HTTP client, no settings, no way to the queue."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

FRESH = """
import json, sys, time
before, began = set(sys.modules), time.process_time()
import {module}
took = time.process_time() - began
print(json.dumps({{"loaded": sorted(set(sys.modules) - before), "took": took}}))
"""
DECODERS = {"PIL", "orjson", "pybase64"}
OURS = {"aspect_ratio", "errors", "image_size", "jobs", "provider_specs", "untrusted"}
OF_JOBS = {"contract.jobs", "contract.jobs.duration", "contract.jobs.pricing"}


@pytest.mark.parametrize("module", ["worker.sandbox.child", "producer.imaging.sandbox_child"])
def test_what_parses_untrusted_input_loads_decoders_and_the_words_of_errors(module: str) -> None:
    told = json.loads(subprocess.run([sys.executable, "-c", FRESH.format(module=module)], capture_output=True).stdout)
    print(f"{module} is imported in {1000 * told['took']:.0f} ms of processor time")
    packages = {name.partition(".")[0] for name in told["loaded"]} - sys.stdlib_module_names
    of_the_contract = [name for name in told["loaded"] if name.startswith("contract.")]
    assert packages - DECODERS == {"contract", module.partition(".")[0]}
    assert {name.split(".")[1] for name in of_the_contract} <= OURS
    assert {name for name in of_the_contract if name.startswith("contract.jobs")} <= OF_JOBS
