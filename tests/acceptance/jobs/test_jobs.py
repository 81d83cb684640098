"""Whole jobs through real Redis, real worker processes and real HTTP, to pictures on disk."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from contract.artifacts.local_directory.marker import MARKER
from contract.errors.exceptions import Refused, Unavailable
from contract.jobs.job import Image, Job, JobState, Outcome
from contract.redis.client import open_redis
from contract.store.keys import EVENTS_CHANNEL
from tests.support.stack.stack import Stack

pytestmark = pytest.mark.real_redis

SEED_FIELDS = ["id", "path", "mime", "prompt", "model", "provider", "source_images", "created_at"]


def assert_whole(image: Image, *, prompt: str) -> dict[str, Any]:
    """Check an image and its sidecar on disk; answer the sidecar."""
    data = Path(image.path).read_bytes()
    sidecar = json.loads(Path(image.sidecar).read_text())
    assert list(sidecar)[:8] == SEED_FIELDS
    assert hashlib.sha256(data).hexdigest() == image.sha256 == sidecar["sha256"]
    assert len(data) == image.bytes == sidecar["bytes"]
    assert (sidecar["id"], sidecar["path"], sidecar["mime"]) == (image.id, image.path, "image/png")
    assert sidecar["prompt"] == prompt
    return dict(sidecar)


def files_of(stack: Stack) -> list[str]:
    return sorted(path.name for path in (stack.folder / "media").rglob("*") if path.is_file() and path.name != MARKER)


async def until(job_id: str, stack: Stack, state: JobState, *, within_s: float = 10) -> Job:
    """Wait until a job has been seen in a state."""
    async with stack.client() as darkroom, asyncio.timeout(within_s):
        while (job := await darkroom.get(job_id)).state is not state:
            await asyncio.sleep(0.02)
    return job


async def test_from_a_prompt_to_images_and_an_edit_of_the_latest(stack: Stack) -> None:
    await stack.start_worker()
    async with stack.client() as darkroom:
        job = await darkroom.submit(prompt="a red fox", count=3, aspect_ratio="3:4", conversation="c")
        assert job.state is JobState.QUEUED
        job = await darkroom.wait(job.id, timeout_s=20)
        assert (job.state, job.progress.done, job.cost_usd) == (JobState.SUCCEEDED, 3, 0.12)
        assert [image.index for image in job.images] == [0, 1, 2]
        for image in job.images:
            assert (image.width, image.height) == (864, 1184)
            assert_whole(image, prompt="a red fox")
        edit = await darkroom.submit(prompt="warmer", reference_images=["latest"], conversation="c")
        edit = await darkroom.wait(edit.id, timeout_s=20)
        sidecar = assert_whole(edit.images[0], prompt="warmer")
        [source] = sidecar["source_images"]
        assert source in {image.path for image in job.images}
        assert [event.type async for event in darkroom.events(job.id)][-1] == "succeeded"
    assert stack.simulator.ledger[-1].references == 1
    assert "canary-key" not in stack.logs()
    assert "red fox" not in stack.logs()


async def test_a_caller_chooses_a_provider_of_a_fallback(stack: Stack) -> None:
    (stack.folder / "darkroom.env").write_text(
        """DARKROOM_FALLBACKS='[{"provider": "aihubmix", "model": "gpt-image-2-free"}]'"""
    )
    await stack.start_worker()
    async with stack.client() as darkroom:
        job = await darkroom.submit(prompt="a fox", provider="aihubmix")
        job = await darkroom.wait(job.id, timeout_s=20)
        assert [(call.provider, call.model) for call in job.attempts] == [("aihubmix", "gpt-image-2-free")]
        assert (job.state, job.degraded) == (JobState.SUCCEEDED, None)


async def test_all_images_of_a_job_are_made_at_the_same_time(stack: Stack) -> None:
    await stack.start_worker()
    stack.simulator.script([{"kind": "slow", "seconds": 1.5}] * 4)
    async with stack.client() as darkroom:
        started = time.monotonic()
        job = await darkroom.submit(prompt="x", count=4)
        job = await darkroom.wait(job.id, timeout_s=20)
    assert job.progress.done == 4
    assert time.monotonic() - started < 4.5


async def test_each_image_is_visible_as_soon_as_it_exists(stack: Stack) -> None:
    await stack.start_worker()
    stack.simulator.script([{"kind": "ok"}, {"kind": "slow", "seconds": 5}])
    async with stack.client() as darkroom:
        job = await darkroom.submit(prompt="x", count=2)
        async for event in darkroom.events(job.id):
            if event.type == "image":
                break
        job = await darkroom.get(job.id)
        assert (job.state, job.progress.done) == (JobState.RUNNING, 1)
        assert Path(job.images[0].path).exists()


async def test_a_passing_fault_is_retried(stack: Stack) -> None:
    await stack.start_worker()
    stack.simulator.script([{"kind": "status", "status": 503, "times": 2}])
    async with stack.client() as darkroom:
        job = await darkroom.submit(prompt="x")
        job = await darkroom.wait(job.id, timeout_s=20)
        kinds = [event.type async for event in darkroom.events(job.id)]
    assert [attempt.outcome for attempt in job.attempts] == [Outcome.TRANSIENT] * 2 + [Outcome.DELIVERED]
    assert kinds == ["queued", "running", "attempt", "retry", "attempt", "retry", "attempt", "image", "succeeded"]


async def test_a_timed_out_2k_is_delivered_at_1k_and_says_so(stack: Stack) -> None:
    await stack.start_worker(DARKROOM_ATTEMPT_TIMEOUT_SECONDS="1.4")  # a busy machine may need one for a picture
    stack.simulator.script([{"kind": "hang"}])
    async with stack.client() as darkroom:
        job = await darkroom.submit(prompt="x", image_size="2K")
        job = await darkroom.wait(job.id, timeout_s=20)
    assert job.state is JobState.SUCCEEDED
    assert job.degraded is not None
    assert (job.degraded.requested.image_size, job.degraded.delivered.image_size) == ("2K", "1K")
    assert job.degraded.reason == "2K timed out after 1 s"
    sidecar = assert_whole(job.images[0], prompt="x")
    assert sidecar["degraded"] == "2K timed out after 1 s"
    assert [call.image_size for call in stack.simulator.ledger] == ["2K", "1K"]


async def test_a_refusal_is_final_and_told_in_one_sentence(stack: Stack) -> None:
    await stack.start_worker()
    stack.simulator.script([{"kind": "refuse"}])
    async with stack.client() as darkroom:
        job = await darkroom.submit(prompt="x")
        job = await darkroom.wait(job.id, timeout_s=20)
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert job.error.code == "content_refused"
    assert "openrouter refused this prompt or image" in job.error.detail
    assert len(stack.simulator.ledger) == 1


async def test_some_images_are_better_than_none(stack: Stack) -> None:
    await stack.start_worker()
    stack.simulator.script([{"kind": "ok"}, {"kind": "refuse"}])
    async with stack.client() as darkroom:
        job = await darkroom.submit(prompt="x", count=2)
        job = await darkroom.wait(job.id, timeout_s=20)
    assert (job.state, job.progress.done) == (JobState.SUCCEEDED, 1)
    assert job.error is not None
    assert job.error.code == "content_refused"


async def test_a_long_retry_after_gives_the_slot_back(stack: Stack) -> None:
    await stack.start_worker(DARKROOM_CONCURRENCY="1")
    stack.simulator.script([{"kind": "status", "status": 429, "headers": {"Retry-After": "6"}}], match="patient")
    async with stack.client() as darkroom:
        patient = await darkroom.submit(prompt="patient")
        async for event in darkroom.events(patient.id):
            if event.type == "waiting":
                break
        waiting = await darkroom.get(patient.id)
        assert (waiting.state, waiting.progress.message) == (
            JobState.QUEUED,
            "Waiting 6 s: openrouter takes no more calls now.",
        )
        quick = await darkroom.wait((await darkroom.submit(prompt="quick")).id, timeout_s=5)
        assert quick.state is JobState.SUCCEEDED
        done = await darkroom.wait(patient.id, timeout_s=20)
    assert done.state is JobState.SUCCEEDED
    first, second = (call for call in stack.simulator.ledger if call.prompt == "patient")
    assert second.started_at - first.started_at >= 6


async def test_a_provider_that_limits_without_saying_for_how_long_is_asked_again(stack: Stack) -> None:
    await stack.start_worker(DARKROOM_RETRY_SECONDS="1")
    stack.simulator.script([{"kind": "status", "status": 429, "times": 4}])
    async with stack.client() as darkroom:
        job = await darkroom.wait((await darkroom.submit(prompt="x")).id, timeout_s=40)
        assert "waiting" in {event.type async for event in darkroom.events(job.id)}
    assert job.state is JobState.SUCCEEDED
    assert [attempt.outcome for attempt in job.attempts] == [Outcome.RATE_LIMITED] * 4 + [Outcome.DELIVERED]


async def test_aihubmix_is_asked_in_its_own_way(stack: Stack) -> None:
    stack.write_config("aihubmix", model="gpt-image-2-free")
    await stack.start_worker()
    stack.simulator.script([{"kind": "ok", "variant": "polling"}, {"kind": "ok", "variant": "urls"}])
    async with stack.client() as darkroom:
        job = await darkroom.submit(prompt="x", count=2, aspect_ratio="16:9")
        job = await darkroom.wait(job.id, timeout_s=30)
    assert (job.state, job.progress.done) == (JobState.SUCCEEDED, 2)
    assert {(image.width, image.height) for image in job.images} == {(1536, 1024)}
    assert {call.model for call in stack.simulator.ledger} == {"openai/gpt-image-2-free"}


async def test_cancelling_a_running_job_closes_the_call(stack: Stack) -> None:
    await stack.start_worker()
    stack.simulator.script([{"kind": "slow", "seconds": 30}])
    async with stack.client() as darkroom:
        job = await darkroom.submit(prompt="x")
        async for event in darkroom.events(job.id):
            if event.type == "attempt":
                break
        cancelled, was_possible = await darkroom.cancel(job.id)
        assert was_possible
        assert cancelled.state is JobState.CANCELLED
        async with asyncio.timeout(2):
            while not stack.simulator.ledger or not stack.simulator.ledger[0].aborted_by_client:
                await asyncio.sleep(0.02)
        again, was_possible = await darkroom.cancel(job.id)
        assert not was_possible
        assert again.state is JobState.CANCELLED
    assert files_of(stack) == []


async def test_a_stopped_worker_gives_its_jobs_back_and_exits_clean(stack: Stack) -> None:
    first = await stack.start_worker(DARKROOM_DRAIN_SECONDS="0.5")
    stack.simulator.script([{"kind": "slow", "seconds": 30}])
    async with stack.client() as darkroom:
        job = await darkroom.submit(prompt="x")
        await stack.called(1)
        first.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(first.wait, 10) == 0
        await stack.start_worker()
        started = time.monotonic()
        job = await darkroom.wait(job.id, timeout_s=20)
        assert time.monotonic() - started < 5
    assert job.state is JobState.SUCCEEDED
    assert [attempt.outcome for attempt in job.attempts] == [Outcome.CANCELLED, Outcome.DELIVERED]


async def test_a_running_job_may_finish_while_its_worker_stops(stack: Stack) -> None:
    worker = await stack.start_worker(DARKROOM_DRAIN_SECONDS="20")
    stack.simulator.script([{"kind": "slow", "seconds": 1.5}])
    async with stack.client() as darkroom:
        job = await darkroom.submit(prompt="x")
        await stack.called(1)
        worker.send_signal(signal.SIGTERM)
        job = await darkroom.wait(job.id, timeout_s=20)
    assert await asyncio.to_thread(worker.wait, 10) == 0
    assert [attempt.outcome for attempt in job.attempts] == [Outcome.DELIVERED]


async def test_a_killed_workers_job_is_finished_by_the_next_within_25_s(stack: Stack) -> None:
    worker = await stack.start_worker()
    stack.simulator.script([{"kind": "ok"}, {"kind": "slow", "seconds": 60}])
    async with stack.client() as darkroom:
        job = await darkroom.submit(prompt="x", count=2)
        async for event in darkroom.events(job.id):
            if event.type == "image":
                break
        kept = (await darkroom.get(job.id)).images[0]
        os.killpg(worker.pid, signal.SIGKILL)
        killed = time.monotonic()
        await stack.start_worker()
        job = await darkroom.wait(job.id, timeout_s=40)
        assert time.monotonic() - killed < 25
    assert (job.state, job.progress.done) == (JobState.SUCCEEDED, 2)
    assert kept in job.images  # what was there stays
    assert len(stack.simulator.ledger) == 3  # only the missing one was asked for again
    assert len(files_of(stack)) == 4
    assert sorted(attempt.outcome for attempt in job.attempts) == ["delivered", "delivered", "lost"]


async def test_redis_killed_and_restarted_under_ten_running_jobs(stack: Stack) -> None:
    await stack.start_worker()
    stack.simulator.script([{"kind": "slow", "seconds": 4}] * 10)
    async with stack.client() as darkroom:
        jobs = [await darkroom.submit(prompt=f"x{number}") for number in range(10)]
        await stack.called(10)
        stack.redis.kill()
        with pytest.raises(Unavailable):
            await darkroom.get(jobs[0].id)
        await stack.says("worker", "Redis is away")
        stack.redis.start()
        done = await asyncio.gather(*(darkroom.wait(job.id, timeout_s=40) for job in jobs))
        late = await darkroom.submit(prompt="after")
        assert (await darkroom.wait(late.id, timeout_s=20)).state is JobState.SUCCEEDED
    assert [job.state for job in done] == [JobState.SUCCEEDED] * 10
    assert len(stack.simulator.ledger) == 11


async def test_a_dead_or_hung_redis_is_told_within_3_s(stack: Stack) -> None:
    async with stack.client() as darkroom:
        job = await darkroom.submit(prompt="x")
        assert stack.redis.process is not None
        stack.redis.process.send_signal(signal.SIGSTOP)
        for call in (darkroom.get(job.id), darkroom.submit(prompt="y"), darkroom.cancel(job.id), darkroom.list()):
            started = time.monotonic()
            with pytest.raises(Unavailable):
                await call
            assert time.monotonic() - started < 3
        stack.redis.process.send_signal(signal.SIGCONT)
        assert (await darkroom.get(job.id)).state is JobState.QUEUED


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"prompt": ""}, "prompt_required"),
        ({"prompt": "x", "count": 5}, "count_out_of_range"),
        ({"prompt": "x", "aspect_ratio": "16:0"}, "aspect_ratio_invalid"),
        ({"prompt": "x", "image_size": "8K"}, "image_size_invalid"),
        ({"prompt": "x", "reference_images": ["/etc/passwd"]}, "reference_outside_roots"),
        ({"prompt": "x", "reference_images": ["latest"]}, "no_previous_image"),
        ({"prompt": "x", "reference_images": ["img_000000000000.png"]}, "reference_outside_roots"),
        ({"prompt": "x", "reference_images": ["img_000000000000"]}, "reference_not_found"),
        ({"prompt": "x", "reference_images": ["img_0000"]}, "reference_not_found"),
        ({"prompt": "x", "reference_images": ["up_" + 64 * "0"]}, "reference_not_found"),
        ({"prompt": "x", "refrence_images": []}, "unknown_field"),
    ],
)
async def test_bad_input_leaves_nothing_behind(stack: Stack, fields: dict[str, Any], code: str) -> None:
    async with stack.client() as darkroom:
        with pytest.raises(Refused) as refused:
            await darkroom.submit(conversation="c", **fields)
        assert refused.value.code == code
        assert await darkroom.list() == []


async def test_other_peoples_jobs_and_images_do_not_exist(stack: Stack) -> None:
    await stack.start_worker()
    async with stack.client("ann") as ann, stack.client("bob") as bob:
        job = await ann.wait((await ann.submit(prompt="x", conversation="c")).id, timeout_s=20)
        for call in (bob.get(job.id), bob.cancel(job.id), bob.wait(job.id)):
            with pytest.raises(Refused, match="no such job"):
                await call
        for reference in (job.images[0].id, job.images[0].path, "latest"):
            with pytest.raises(Refused):
                await bob.submit(prompt="y", reference_images=[reference], conversation="c")
        assert await bob.list() == []


async def test_two_stopped_workers_cost_a_job_no_rung(stack: Stack) -> None:
    stack.simulator.script([{"kind": "slow", "seconds": 30}] * 2)
    async with stack.client() as darkroom:
        job = await darkroom.submit(prompt="x", image_size="2K")
        for number in (1, 2):
            worker = await stack.start_worker(DARKROOM_DRAIN_SECONDS="0.2")
            await stack.called(number)
            worker.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(worker.wait, 10) == 0
        await stack.start_worker()
        job = await darkroom.wait(job.id, timeout_s=20)
    assert job.state is JobState.SUCCEEDED
    assert [attempt.outcome for attempt in job.attempts] == [Outcome.CANCELLED, Outcome.CANCELLED, Outcome.DELIVERED]
    assert job.degraded is None
    assert [call.image_size for call in stack.simulator.ledger] == ["2K"] * 3


async def test_a_worker_stops_in_time_although_its_redis_is_dead(stack: Stack) -> None:
    worker = await stack.start_worker(DARKROOM_DRAIN_SECONDS="0.5")
    stack.simulator.script([{"kind": "slow", "seconds": 60}])
    async with stack.client() as darkroom:
        await darkroom.submit(prompt="x")
        await stack.called(1)
    stack.redis.kill()
    worker.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait, 15) == 0
    assert stack.simulator.ledger[0].aborted_by_client


async def test_what_follows_the_last_event_is_nothing_at_once(stack: Stack) -> None:
    async with stack.client() as darkroom, asyncio.timeout(4):
        job = await darkroom.submit(prompt="x")
        await darkroom.cancel(job.id)
        events = [event async for event in darkroom.events(job.id)]
        assert [event.type for event in events] == ["queued", "cancelled"]
        assert [event async for event in darkroom.events(job.id, after=events[0].id)] == events[1:]
        assert [event async for event in darkroom.events(job.id, after=events[1].id)] == []


@pytest.mark.parametrize(
    "after", ["", "1", "x", "-", "+", "$", "(0", "1-", "-1", "1-0\n", "1-0-0", "9" * 20 + "-0", "١-٠"]
)
async def test_an_event_id_that_cannot_be_is_refused(stack: Stack, after: str) -> None:
    async with stack.client() as darkroom:
        job = await darkroom.submit(prompt="x")
        with pytest.raises(Refused) as refused:
            await anext(darkroom.events(job.id, after=after))
    assert refused.value.code == "event_id_invalid"


async def test_whoever_follows_a_job_hears_that_it_was_forgotten(stack: Stack) -> None:
    async with stack.client() as darkroom, open_redis(stack.redis.url) as redis, asyncio.timeout(4):
        job = await darkroom.submit(prompt="x")
        events = darkroom.events(job.id)
        assert (await anext(events)).type == "queued"
        await redis.delete(f"darkroom:job:{job.id}", f"darkroom:job:{job.id}:events")
        await redis.publish(EVENTS_CHANNEL, job.id)
        with pytest.raises(Refused) as refused:
            await anext(events)
    assert refused.value.code == "job_not_found"


async def test_whoever_waits_for_a_forgotten_job_looks_again_without_any_news(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producer.client.owner_client.LOOK_AGAIN_S", 0.05)
    async with stack.client() as darkroom, open_redis(stack.redis.url) as redis, asyncio.timeout(4):
        job = await darkroom.submit(prompt="x")
        waiting = asyncio.create_task(darkroom.wait(job.id))
        while (await redis.pubsub_numsub(EVENTS_CHANNEL))[0][1] == 0:
            await asyncio.sleep(0.01)
        await redis.delete(f"darkroom:job:{job.id}", f"darkroom:job:{job.id}:events")
        with pytest.raises(Refused) as refused:
            await waiting
    assert refused.value.code == "job_not_found"


async def test_three_hundred_looks_at_once_are_all_answered(stack: Stack) -> None:
    async with stack.client() as darkroom:
        job = await darkroom.submit(prompt="x")
        seen = await asyncio.gather(*(darkroom.get(job.id) for _ in range(300)))
    assert [each.id for each in seen] == [job.id] * 300


async def test_a_long_list_is_whole_and_newest_first(stack: Stack) -> None:
    async with stack.client() as darkroom:
        ids = []
        for _ in range(9):
            jobs = await asyncio.gather(*(darkroom.submit(prompt="x") for _ in range(50)))
            ids += [job.id for job in jobs]
        listed = await darkroom.list(limit=450)
    assert len(listed) == 450
    assert {job.id for job in listed} == set(ids)
    assert [job.created_at for job in listed] == sorted((job.created_at for job in listed), reverse=True)
