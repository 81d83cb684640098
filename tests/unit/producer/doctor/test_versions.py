"""Whether versions fit together, in words."""

from __future__ import annotations

import pytest

from contract.monitoring.fleet import Build, Fleet
from contract.version import CONTRACT, own_version
from producer.doctor.versions import check_versions

OURS = Build(CONTRACT, "1.0")
NEXT = Build(CONTRACT + 1, "2.0")
OLD = Build()


@pytest.mark.parametrize(
    ("builds", "jobs", "ok", "words", "hint"),
    [
        ([], {CONTRACT: 2}, True, "no worker runs", ""),
        ([OURS, OURS], {CONTRACT: 2}, True, f"workers: 2 of 1.0 (contract {CONTRACT})", ""),
        ([OLD], {0: 2}, False, "no running worker is known to support what is accepted here", "Update the workers"),
        ([OURS, OLD], {0: 2}, True, "no job needs a newer worker than the oldest that runs", ""),
        ([OURS], {CONTRACT + 1: 1}, False, "1 job needs a newer worker than any that runs", "Start a worker"),
        ([OURS, NEXT], {CONTRACT + 2: 3}, False, "3 jobs need a newer worker than any that runs", "Start a worker"),
        ([OURS, NEXT], {CONTRACT + 1: 3}, True, "3 jobs need a newer worker than the oldest that runs", "Keep one"),
        ([OURS, NEXT], {CONTRACT: 3}, True, "no job needs a newer worker than the oldest that runs", ""),
    ],
)
def test_versions_are_told_with_what_cannot_be_done(
    builds: list[Build], jobs: dict[int, int], ok: bool, words: str, hint: str
) -> None:
    finding = check_versions(Fleet({f"w{number}": build for number, build in enumerate(builds)}, jobs))
    assert finding.detail.startswith(f"this is {own_version()} (contract {CONTRACT}); ")
    assert (finding.ok, finding.detail.endswith(words), finding.hint.startswith(hint)) == (ok, True, True)
    assert bool(finding.hint) == bool(hint)
