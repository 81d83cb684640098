"""The job table is split by audience: what one side must not do, its store has no word for."""

from __future__ import annotations

import inspect

from contract.store.job_reader import JobReader
from contract.store.producer_store import ProducerStore
from contract.store.worker_store import WorkerStore

OF_WORKERS = {
    *("claim", "leave", "renew", "begin_attempt", "end_attempt", "add_image", "end", "release", "sweep", "ring"),
    "unfinished_deletions",
}
OF_BOTH = {"end_deletion"}
OF_PRODUCERS = {
    *("submit", "cancel", "delete", "add_upload", "forget_upload", "check"),
    *("recent", "note_recent", "begin_recent", "forget_recent"),
}


def own(store: type[JobReader]) -> set[str]:
    """Name what a store can do beyond looking."""
    looks = {name for name, _ in inspect.getmembers(JobReader, callable)}
    return {name for name, _ in inspect.getmembers(store, callable) if not name.startswith("_")} - looks


def test_each_side_has_what_it_does_and_nothing_of_the_other_s() -> None:
    assert own(ProducerStore) == OF_PRODUCERS | OF_BOTH
    assert own(WorkerStore) == OF_WORKERS | OF_BOTH


def test_no_script_is_loaded_by_both_sides() -> None:
    assert not set(ProducerStore.SCRIPTS) & set(WorkerStore.SCRIPTS)
