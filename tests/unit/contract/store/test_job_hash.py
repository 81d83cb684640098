"""A job hash that another version has written, or that is damaged: what is known is read, and nothing breaks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contract.artifacts.sidecar import Sidecar
from contract.errors.catalogue.table import look_up
from contract.errors.exceptions import DarkroomError
from contract.jobs import wording
from contract.jobs.job import Degraded, Failure, JobState, Outcome, ReferenceSnapshot, Rendition
from contract.jobs.request import KeptRequest
from contract.store.job_hash import read_attempts, read_job, read_snapshots, read_state
from contract.webhook import Webhook
from producer.chat.turn import Route
from tests.support.factories.jobs import attempt, image, new_job
from tests.support.factories.sidecars import a_sidecar
from worker.policy.ladder import Ladder, Rung
from worker.policy.retry_policy import Call, GiveUp, next_step

NEWER = {"zz_new": {"deep": [1]}}
SNAPSHOT = ReferenceSnapshot(source="/a", sha256="0" * 64, mime="image/png", bytes=1)
KNOBS = Rendition(provider="p", model="m", image_size="1K")
STORED = (
    attempt(Outcome.DELIVERED),
    image("a", 0),
    SNAPSHOT,
    KNOBS,
    Degraded(requested=KNOBS, delivered=KNOBS, reason="r"),
    Failure(code="c", detail="d", retryable=False),
    KeptRequest(prompt="a fox", aspect_ratio="1:1", image_size="1K"),
    Webhook(url="https://a", host="a"),
    Route(channel="c", chat_id="1", session="s", owner="o"),
)


def hash_of(**changes: str) -> dict[str, str]:
    new = new_job(id="j1")
    fields = {name: str(value) for name, value in new.fields().items()}
    times = {"created_at": "1000", "started_at": "2000"}
    return fields | times | {"id": "j1", "state": "running", "images": "0"} | changes


def grown(text: str) -> str:
    return json.dumps(json.loads(text) | NEWER)


@pytest.mark.parametrize("record", STORED, ids=lambda record: type(record).__name__)
def test_a_stored_record_is_read_without_what_a_newer_version_has_added(record: Any) -> None:
    assert type(record).model_validate_json(grown(record.model_dump_json())) == record


def test_a_sidecar_is_read_without_what_a_newer_version_has_added() -> None:
    sidecar = a_sidecar(b"image", path="/media/a.png", attempts=(attempt(Outcome.DELIVERED),))
    newer = json.loads(sidecar.model_dump_json()) | NEWER
    newer["requested"] |= NEWER
    newer["attempts"][0] |= NEWER | {"outcome": "teleported"}
    read = Sidecar.model_validate_json(json.dumps(newer))
    assert read.attempts[0].outcome is Outcome.UNKNOWN
    assert read.image() == sidecar.image()


def test_a_job_is_read_without_what_a_newer_version_has_added() -> None:
    plain = hash_of(**{"attempt:0": attempt().model_dump_json(), "image:0": image("j1", 0).model_dump_json()})
    plain |= {"snapshots": json.dumps([SNAPSHOT.model_dump()]), "images": "1"}
    newer = {name: grown(text) if text.startswith("{") else text for name, text in plain.items()} | {"zz": "1"}
    newer["snapshots"] = json.dumps([SNAPSHOT.model_dump() | NEWER])
    assert read_job(newer, None) == read_job(plain, None)
    assert read_snapshots(newer) == (SNAPSHOT,)
    assert read_attempts(newer) == read_attempts(plain)


def test_what_a_newer_version_lets_be_asked_for_is_shown() -> None:
    asked = {"prompt": "x" * 40_000, "count": 99, "aspect_ratio": "7:3", "image_size": "8K", "quality": "ultra"}
    job = read_job(hash_of(request=json.dumps(asked | {"fallback": "colour", "model": "a b"})), None)
    assert job.model_dump()["request"] == asked | {"reference_images": (), "fallback": "colour", "model": "a b"}


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({}, JobState.RUNNING),
        ({"ended_at": "3000"}, JobState.FAILED),
        ({"ended_at": "3000", "images": "1"}, JobState.SUCCEEDED),
    ],
    ids=["runs", "ended", "ended with an image"],
)
def test_a_state_of_a_newer_version_is_the_nearest_one_that_is_known(fields: dict[str, str], state: JobState) -> None:
    job = read_job(hash_of(state="developing", **fields), None)
    assert (job.state, job.is_over) == (state, "ended_at" in fields)
    assert read_state({"state": "developing"}) is JobState.QUEUED


def test_codes_and_outcomes_of_a_newer_version_are_told_in_words() -> None:
    call = attempt(Outcome.TRANSIENT).model_copy(update={"error": "provider_moved"})
    text = json.dumps(json.loads(call.model_dump_json()) | {"outcome": "moved"})
    job = read_job(hash_of(**{"attempt:0": text, "error": '{"code":"provider_moved"}', "state": "failed"}), None)
    assert job.error
    assert job.error.code == "provider_moved"
    assert "provider_moved" in job.error.detail
    assert job.attempts[0].outcome is Outcome.UNKNOWN
    assert wording.failed(job.attempts[0]) == "1K failed (provider moved)"
    assert DarkroomError(look_up("provider_moved")).kind == look_up("provider_moved")
    assert "<b>" not in look_up("<b>{x}").sentence.format_map({})


def test_the_ladder_goes_on_behind_an_outcome_of_a_newer_version() -> None:
    rung = Rung(provider="p", model="m", image_size="1K", quality=None, timeout_s=10)
    call = attempt(Outcome.UNKNOWN).model_copy(update={"error": "provider_moved"})
    assert next_step(Ladder(rungs=(rung, rung)), [call], 60) == Call(1, 10)
    assert next_step(Ladder(rungs=(rung,)), [call], 60) == GiveUp("provider_moved")


@pytest.mark.parametrize("damage", ["", "[]", "null", '{"id": 1}', "\x00"])
def test_a_damaged_part_is_left_out_but_not_by_a_worker(damage: str, caplog: pytest.LogCaptureFixture) -> None:
    good = {"image:0": image("j1", 0).model_dump_json(), "attempt:0": attempt().model_dump_json()}
    fields = hash_of(**good, **{"image:1": damage, "attempt:1": damage, "image:x": damage})
    job = read_job(fields, None)
    assert (len(job.images), len(job.attempts)) == (1, 1)
    assert "image:1 of job j1" in caplog.text
    with pytest.raises(DarkroomError) as raised:
        read_attempts(fields)
    assert raised.value.code == "job_unreadable"


@pytest.mark.parametrize(
    "changes", [{"request": "{"}, {"request": "[]"}, {"created_at": "soon"}, {"error": "[1]"}, {"created_at": "1e30"}]
)
def test_a_job_that_cannot_be_read_is_told_without_what_is_in_it(
    changes: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(DarkroomError) as raised:
        read_job(hash_of(**changes), None)
    assert raised.value.code == "job_unreadable"
    assert "job j1 cannot be read" in caplog.text
    assert "fox" not in caplog.text
