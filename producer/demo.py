"""The demonstration: the whole path from a prompt to pictures on disk, with a simulated provider."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from contract.job import Job
from contract.settings import load_settings
from producer import terminal
from producer.client import Darkroom
from producer.stack import Stack

PROMPT = "A red fox in a snowy forest at dawn, soft light"
EDIT = "Keep the same fox and composition, make the palette warm orange and add a sunrise"


async def show_everything(folder: Path, *, say: Callable[[str], None]) -> int:
    """Start a stack, make two images, edit the first, say where they lie, stop; 0 when all were made."""
    say("Starting Redis, a worker and the simulated provider…")
    stack = Stack(folder / "config.json", home=folder, demo=True, flower=False, say=say)
    async with stack.run() as running:
        settings = load_settings(Path(running.config)).with_redis(running.redis_url)
        async with Darkroom(settings, owner="demo") as darkroom:
            say(f"\nTwo images at 16:9, made at the same time: {PROMPT}")
            made = await darkroom.submit(prompt=PROMPT, count=2, aspect_ratio="16:9", conversation="demo")
            made = await terminal.follow(darkroom, made)
            if not made.images:
                return _tell([made], say)
            say(f"\nAn edit of the first: {EDIT}")
            edit = await darkroom.submit(
                prompt=EDIT, aspect_ratio="16:9", reference_images=[made.images[0].id], conversation="demo"
            )
            edit = await terminal.follow(darkroom, edit)
        say("\nStopping…")
    return _tell([made, edit], say)


def _tell(jobs: list[Job], say: Callable[[str], None]) -> int:
    complete = True
    for job in jobs:
        complete = complete and job.progress.done == job.progress.count
        seconds = (
            "" if job.started_at is None or job.ended_at is None else (job.ended_at - job.started_at).total_seconds()
        )
        say(f"\n{job.progress.message} {seconds} s")
        terminal.show(job)
        for image in job.images:
            say(f"  {image.width}x{image.height} {image.mime}, sidecar {image.sidecar}")
    return 0 if complete else 1
