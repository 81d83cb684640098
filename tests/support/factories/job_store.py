"""The job table for tests that are producer and worker at once; the product has a store for each."""

from __future__ import annotations

from typing import ClassVar

from contract.store.producer_store import ProducerStore
from contract.store.worker_store import WorkerStore


class JobStore(ProducerStore, WorkerStore):
    """All that can be done to a job."""

    SCRIPTS: ClassVar[tuple[str, ...]] = (*ProducerStore.SCRIPTS, *WorkerStore.SCRIPTS)
