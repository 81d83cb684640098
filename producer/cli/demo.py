"""The demonstration: the whole path from a prompt to images on disk, with a simulated provider."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from contract.jobs.job import Job
from contract.settings.loader import load_settings
from producer.cli import terminal
from producer.client.client import Darkroom
from producer.stack.stack import Stack

PROMPT = "A red fox in a snowy forest at dawn, soft light"
EDIT = "Keep the same fox and composition, make the palette warm orange and add a sunrise"
TOO_LARGE = "A lighthouse above a stormy sea [2K times out] [slow 1]"  # the simulator obeys the brackets
PATIENCE_S = 3.0


async def show_everything(folder: Path, *, say: Callable[[str], None]) -> int:
    """Start a stack, make two images, edit the first, survive a time-out, say where all lie, stop.

    0 when all were made, and the last one smaller than asked for.
    """
    say("Starting Redis, a worker and the simulated provider…")
    stack = Stack(folder / "config.json", home=folder, demo=True, say=say)
    async with stack.run() as running:
        settings = load_settings(Path(running.config)).with_redis(running.redis_url)
        async with Darkroom(settings, owner="demo") as darkroom:
            say(f"\nTwo images at 16:9, made at the same time: {PROMPT}")
            made = await darkroom.submit(prompt=PROMPT, count=2, aspect_ratio="16:9")
            made = await terminal.follow(darkroom, made)
            if not made.images:
                return _tell([made], say)
            say(f"\nAn edit of the first: {EDIT}")
            edit = await darkroom.submit(prompt=EDIT, aspect_ratio="16:9", reference_images=[made.images[0].id])
            edit = await terminal.follow(darkroom, edit)
            say(f"\nA provider that is too slow at 2K, and {PATIENCE_S:.0f} s of patience: {TOO_LARGE}")
            smaller = await darkroom.submit(prompt=TOO_LARGE, image_size="2K", attempt_timeout_seconds=PATIENCE_S)
            smaller = await terminal.follow(darkroom, smaller)
        say("\nStopping…")
    return _tell([made, edit, smaller], say) or int(smaller.degraded is None)


def _tell(jobs: list[Job], say: Callable[[str], None]) -> int:
    complete = True
    for job in jobs:
        complete = complete and job.progress.done == job.progress.count
        say(f"\n{job.progress.message}{_time(job)}")
        terminal.show(job)
        for image in job.images:
            say(f"  {image.width}x{image.height} {image.mime}, sidecar {image.sidecar}")
    return 0 if complete else 1


def _time(job: Job) -> str:
    if job.started_at is None or job.ended_at is None:
        return ""
    return f" {(job.ended_at - job.started_at).total_seconds():.1f} s"
