"""A nanobot that makes its pictures through a shared stack, and what came of its prompts there."""

from __future__ import annotations

from dataclasses import dataclass

from contract.jobs.job import Job, JobState
from tests.support.nanobot.gateway import Nanobot
from tests.support.nanobot.model import Model
from tests.support.stack.shared_stack import SharedStack


@dataclass(frozen=True)
class ConnectedNanobot:
    """A nanobot with its scripted model, configured by an example of the page, and its owner in Darkroom."""

    example: str
    nanobot: Nanobot
    model: Model
    owner: str
    shared_stack: SharedStack

    async def job(self, prompt: str) -> Job:
        """Find the only job that was made of a prompt."""
        [job] = [job for job in await self.shared_stack.jobs(self.owner) if job.request.prompt == prompt]
        return job

    async def end_of(self, prompt: str) -> JobState:
        """Wait until the job of a prompt is over, and tell how it ended."""
        async with self.shared_stack.stack.client(self.owner) as client:
            return (await client.wait((await self.job(prompt)).id, timeout_s=10)).state

    async def original(self, prompt: str) -> bytes:
        """Read the only picture of the only job of a prompt where Darkroom keeps it."""
        [image] = (await self.job(prompt)).images
        async with self.shared_stack.stack.client(self.owner) as client:
            return await client.artifacts.read(await client.owner_images.find(image.id))
