"""What of a job leaves this machine: all of it but paths."""

import json
from typing import Any

from contract.jobs.public_json import public_json
from tests.support.factories.ended_job import ARTIFACT, a_job


def test_no_path_leaves_this_machine() -> None:
    told = public_json(a_job())
    assert "/home/" not in json.dumps(told)
    assert "fox.png" not in json.dumps(told)
    assert told["request"]["reference_images"] == [ARTIFACT, "latest"]


def test_everything_else_is_told_as_the_job_itself_tells_it() -> None:
    job = a_job()
    told, whole = public_json(job), job.model_dump(mode="json")
    assert told["images"][0].pop("url") == f"/v1/artifacts/{ARTIFACT}"
    for image in whole["images"]:
        del image["path"], image["sidecar"]
    whole["request"]["reference_images"] = [ARTIFACT, "latest"]
    assert told == whole


def test_with_paths_the_job_is_whole_and_its_images_have_links_too() -> None:
    job = a_job()
    told: dict[str, Any] = public_json(job, with_paths=True)
    assert [image.pop("url") for image in told["images"]] == [f"/v1/artifacts/{ARTIFACT}"]
    assert told == job.model_dump(mode="json")
