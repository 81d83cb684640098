"""One owner's images: finished ones, uploads, and what a request may name as its references."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from contract.artifacts.artifact_store import ArtifactStore
from contract.artifacts.references import ArtifactReference, DecodedImage, References, check_together
from contract.errors.catalogue.request import (
    ARTIFACT_NOT_FOUND,
    NO_PREVIOUS_IMAGE,
    REFERENCE_NEEDS_UPLOAD,
    REFERENCE_NOT_FOUND,
    REFERENCE_OUTSIDE_ROOTS,
)
from contract.errors.exceptions import Refused, Unavailable
from contract.jobs.ids import UPLOAD, is_artifact_id, is_like_an_id, uploaded
from contract.jobs.job import Job, ReferenceSnapshot
from contract.settings.loader import Settings
from contract.store.installation import read_installation
from contract.store.job_reader import JobReader
from contract.store.producer_store import ProducerStore
from producer.client.redis_deadline import redis_deadline
from producer.error_catalogue import MEDIA_ELSEWHERE


class OwnerImages:
    """Finds and keeps images; without the right to name paths, they are named by the ids of artifacts and uploads."""

    def __init__(
        self,
        settings: Settings,
        store: ProducerStore,
        artifacts: ArtifactStore,
        references: References,
        *,
        owner: str,
        names_paths: bool,
        reads_all: bool = False,
    ) -> None:
        self._settings = settings
        self._store = store
        self._artifacts = artifacts
        self._references = references
        self._owner = owner
        self._names_paths = names_paths
        self._reads_all = reads_all

    async def renew(self, snapshots: Sequence[ReferenceSnapshot]) -> None:
        """Mark kept images as needed again. Raises Refused (`reference_unreadable`) if one is gone."""
        await self._references.touch(snapshots)

    async def find(self, artifact: str) -> str:
        """Find the locator of an image of this owner. Raises Refused (`artifact_not_found`)."""
        async with redis_deadline():
            is_own = is_artifact_id(artifact) and await self._store.image_owner_is(artifact, self._owner)
        if not is_own:
            raise Refused(ARTIFACT_NOT_FOUND)
        return await find_image(self._artifacts, self._store, artifact)

    async def check_disk(self) -> None:
        """Find out whether the workers' images lie in our store. Raises Refused (`media_elsewhere`)."""
        await check_disk(self._artifacts, self._store)

    async def remove(self, job: Job) -> None:
        """Remove the images of a deleted job, also though the caller is cancelled; else a repeat, or a worker, does it.

        Raises OSError, Unavailable.
        """
        await asyncio.shield(asyncio.create_task(self._remove(job)))

    async def _remove(self, job: Job) -> None:
        removals = (self._artifacts.delete(image.path) for image in job.images)
        for error in await asyncio.gather(*removals, return_exceptions=True):  # one that is stuck holds up no other
            if isinstance(error, BaseException):
                raise error
        async with redis_deadline():
            await self._store.end_deletion(job.id)

    async def keep(self, image: DecodedImage, *, is_sent_along: bool = False) -> str:
        """Keep an image as a reference for later jobs, or for that of the request it `is_sent_along` with.

        Returns its id, `up_…`. Raises Refused.
        """
        env = self._settings.env
        snapshot = await self._references.describe(image)
        most = {"most": env.max_uploads_per_owner, "most_bytes": env.max_upload_mb_per_owner * 2**20}
        async with redis_deadline():  # before it is stored: what is refused takes no room
            await self._store.add_upload(self._owner, snapshot, is_sent_along=is_sent_along, **most)
        try:
            await self._references.keep(image.data)
        except Refused:
            with suppress(Unavailable):
                await self._store.forget_upload(self._owner, snapshot.sha256)
            raise
        return UPLOAD + snapshot.sha256

    async def snapshots(self, references: Sequence[str], conversation: str | None) -> tuple[ReferenceSnapshot, ...]:
        """Copy what references name as it is now, in their order."""
        if not references:
            return ()  # as most have none, without a thread
        found = {name: await self._look_up(name, conversation) for name in references}
        sources = [what for what in found.values() if not isinstance(what, ReferenceSnapshot)]
        copied = await self._references.snapshot(sources, owner=self._owner)
        for what, copy in zip(sources, copied, strict=True):
            if isinstance(what, str):
                await self._check_not_foreign(copy.source)  # where the path has led
        copies = iter(copied)
        snapshots = tuple(what if isinstance(what, ReferenceSnapshot) else next(copies) for what in found.values())
        check_together(snapshots)
        await self._references.touch(snapshots)
        return snapshots

    async def _look_up(self, reference: str, conversation: str | None) -> ReferenceSnapshot | ArtifactReference | str:
        """Find what a reference names: an upload, an artifact, or the path of a file."""
        sha256 = uploaded(reference)
        if sha256 is None:
            return await self._source(reference, conversation)
        async with redis_deadline():
            snapshot = await self._store.upload(self._owner, sha256)
        if snapshot is None:
            raise Refused(REFERENCE_NOT_FOUND)
        return snapshot

    async def _source(self, reference: str, conversation: str | None) -> ArtifactReference | str:
        """Tell what an artifact id or "latest" stands for; anything else is a path."""
        if reference == "latest":
            return await self._latest(conversation)
        if not self._names_paths:
            return await self._own_artifact(reference)
        if is_artifact_id(reference):
            return await self._artifact(reference)
        if is_like_an_id(reference) and not await asyncio.to_thread(self._is_in_workspace, reference):
            raise Refused(REFERENCE_NOT_FOUND)
        await self._check_not_foreign(reference)
        return reference

    async def _check_not_foreign(self, path: str) -> None:
        """Refuse the path of an image of somebody else. Raises Refused (`reference_outside_roots`)."""
        artifact = Path(path).stem
        if is_artifact_id(artifact) and not self._reads_all:
            async with redis_deadline():
                if await self._store.is_foreign(artifact, self._owner):
                    raise Refused(REFERENCE_OUTSIDE_ROOTS)  # as if there were no such file

    async def _artifact(self, artifact: str) -> ArtifactReference:
        """Find an artifact that is not known to be another's; with the right to name paths, also a forgotten one."""
        async with redis_deadline():
            is_foreign = await self._store.is_foreign(artifact, self._owner)
            is_own = not is_foreign and await self._store.image_owner_is(artifact, self._owner)
        image = None if is_foreign else await self._artifacts.find(artifact)
        if image is None:
            if is_own:
                await self.check_disk()
            raise Refused(REFERENCE_NOT_FOUND)
        return ArtifactReference(image)

    async def _latest(self, conversation: str | None) -> ArtifactReference:
        async with redis_deadline():
            latest = await self._store.latest_image(self._owner, conversation) if conversation else None
        if latest is None:
            raise Refused(NO_PREVIOUS_IMAGE)
        if await self._artifacts.stat(latest) is None:
            await self.check_disk()
        return ArtifactReference(latest)

    async def _own_artifact(self, reference: str) -> ArtifactReference:
        try:
            return ArtifactReference(await self.find(reference))
        except Refused as error:
            if error.code == MEDIA_ELSEWHERE.code:
                raise
            raise Refused(REFERENCE_NOT_FOUND if is_like_an_id(reference) else REFERENCE_NEEDS_UPLOAD) from error

    def _is_in_workspace(self, name: str) -> bool:
        return os.path.lexists(self._settings.workspace / name)


async def find_image(artifacts: ArtifactStore, store: JobReader, artifact: str) -> str:
    """Find the locator of an image by its id, for a signed link.

    Raises Refused (`artifact_not_found`, `media_elsewhere`).
    """
    is_one = is_artifact_id(artifact)
    image = await artifacts.find(artifact) if is_one else None
    if image is None:
        if is_one:
            await check_disk(artifacts, store)
        raise Refused(ARTIFACT_NOT_FOUND)
    return image


async def check_disk(artifacts: ArtifactStore, store: JobReader) -> None:
    """Find out whether the workers' images lie in our store. Raises Refused (`media_elsewhere`)."""
    async with redis_deadline():
        installation = await read_installation(store.redis)
    if installation.is_elsewhere(await artifacts.marker()):
        raise Refused(MEDIA_ELSEWHERE)
