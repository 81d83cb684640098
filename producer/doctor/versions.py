"""Do the versions of gateway, workers and jobs fit together? For the doctor and `/readyz`."""

from __future__ import annotations

from contract.monitoring.fleet import Fleet, own_build
from contract.version import CONTRACT
from producer.doctor.finding import Finding

HOW = "docs/howto/upgrade.md describes how to change versions."


def check_versions(fleet: Fleet) -> Finding:
    """Say which versions run; wrong is what no running worker can do."""
    own = f"this is {own_build().words}"
    if not fleet.workers:
        return Finding("versions", True, f"{own}; no worker runs")
    detail = f"{own}; workers: {fleet.words}"
    if lost := fleet.needing(fleet.contract):
        told = f"{detail}; {_jobs(lost)} a newer worker than any that runs"
        return Finding("versions", False, told, f"Start a worker of the version that accepted them. {HOW}")
    if fleet.contract < CONTRACT:
        told = f"{detail}; no running worker is known to support what is accepted here"
        return Finding("versions", False, told, f"Update the workers first. {HOW}")
    oldest = min(build.contract for build in fleet.workers.values())
    if oldest == fleet.contract:
        return Finding("versions", True, detail)
    if waiting := fleet.needing(oldest):
        told = f"{detail}; {_jobs(waiting)} a newer worker than the oldest that runs"
        return Finding("versions", True, told, f"Keep one of contract {fleet.contract} until no job needs it.")
    return Finding("versions", True, f"{detail}; no job needs a newer worker than the oldest that runs")


def differing(build: object) -> list[str]:
    """Say of which version a gateway is, if it is of another one than this."""
    return [] if build in (None, own_build().words) else [f"its version is {build}"]


def _jobs(count: int) -> str:
    return "1 job needs" if count == 1 else f"{count} jobs need"
