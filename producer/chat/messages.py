"""Messages about a job: JSON for the model of a chat, sentences for the chat itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from contract.artifacts.sidecar import Sidecar
from contract.jobs import wording
from contract.jobs.job import Job, JobState

NO_BRACKETS = str.maketrans("[]", "()")  # nanobot's marks around what it adds to a user's words have them
MOST_OF_A_PROMPT = 60  # characters; enough to tell one image from another
SEED_FIELDS = ("id", "path", "mime", "prompt", "model", "provider", "source_images", "created_at")

SENT_LATER = (
    "Nothing is wrong: the images are still being made, and will be sent to this chat by themselves. Tell the user so "
    "in one sentence, and end your turn when nothing else is left to do. Do not call generate_image again for this "
    "request, and do not poll. Only if the user asks: image_job_status tells how it stands, cancel_image_job stops it."
)
ASK_LATER = (
    "Nothing is wrong: the images are still being made, but nothing can be sent to this channel later. Give the user "
    "the job id, and look with image_job_status when they ask; cancel_image_job stops it. Do not call generate_image "
    "again for this request."
)
SENT_BY_ITSELF = (
    "The images are sent to this chat by themselves: do not send them again. Use their paths as reference_images for "
    "edits, and keep the paths to yourself."
)
WAIT_FOR_THEM = "The job is not finished. The images will be sent to this chat by themselves; there is no need to poll."
ELSEWHERE = (
    "The images were made, but their files are not on this machine: nanobot and the worker must use the same media "
    "directory. Do not make them again: the operator of this nanobot has to fix it."
)
ONCE_MORE = "It is unknown whether the job was accepted. Call again with the same arguments: nothing is made twice."


def artifacts(sidecars: Sequence[Sidecar]) -> list[dict[str, Any]]:
    """Write sidecars as nanobot's own tool answers them."""
    return [sidecar.model_dump(mode="json", include=set(SEED_FIELDS)) for sidecar in sidecars]


def unlike(job: Job) -> str:
    """Say what differs from the request; empty if nothing does."""
    missing = job.progress.count - job.progress.done
    parts = [f"{wording.degraded(job.degraded)}."] if job.degraded else []
    if missing:
        why = f": {job.error.detail}" if job.error else "."
        parts.append(f"{missing} of {job.progress.count} images could not be made{why}")
    return " ".join(parts)


def made(job: Job, result: str, next_step: str | None) -> str:
    """Add to the result of a finished job what the user should be told, and what to do instead."""
    remark = unlike(job)
    if not remark and not next_step:
        return result
    told = json.loads(result)
    told["next_step"] = next_step or told["next_step"]
    if remark:
        told["next_step"] = f"Tell the user: {remark} {told['next_step']}"
    return json.dumps(told, ensure_ascii=False)


def under_way(job: Job, expected: tuple[int, int] | None, next_step: str) -> str:
    """Tell the model the state of an unfinished job."""
    return _json(
        status=job.state,
        job_id=job.id,
        progress=job.progress.message,
        position=job.position,
        eta_seconds=expected,
        next_step=next_step,
    )


def unknown(job_id: str, next_step: str) -> str:
    """Tell the model of a job that was accepted before the queue went away."""
    progress = "The job was accepted. The queue does not answer at the moment; nothing is lost."
    return _json(status=JobState.QUEUED, job_id=job_id, progress=progress, next_step=next_step)


def cancelled(job: Job, *, was_possible: bool) -> str:
    """Tell the model the result of cancelling a job."""
    status = "cancelled" if was_possible else "already_finished"
    return _json(status=status, job_id=job.id, state=job.state, progress=job.progress.message)


def failure(job: Job) -> str:
    """Say why a job has no images."""
    return job.error.detail if job.error else job.progress.message


def late_message(job: Job) -> str:
    """Write what is sent into the chat with a job's images, or instead of them."""
    prompt = excerpt(job.request.prompt)
    if job.state is JobState.CANCELLED:
        return f"The image you asked for was cancelled: {prompt}"
    if job.state is not JobState.SUCCEEDED:
        return f"The image could not be made: {prompt}\n{failure(job)}"
    ready = "Your image is ready" if len(job.images) == 1 else f"Your {len(job.images)} images are ready"
    remark = unlike(job)
    return f"{ready}: {prompt}\n{remark}" if remark else f"{ready}: {prompt}"


def misplaced(job: Job) -> str:
    """Write what is sent into the chat when its images cannot be reached."""
    return f"{ELSEWHERE}\n{excerpt(job.request.prompt)}"


def note(job: Job, paths: Sequence[str]) -> str:
    """Tell the model on its next turn what was sent in the meantime."""
    if not paths and job.state is JobState.SUCCEEDED:
        return f"Image job {job.id}: {ELSEWHERE} The user was told."
    if not paths:
        return f"Image job {job.id} has ended without images: {failure(job)} The user was told."
    remark = unlike(job)
    return _json(
        event="images were sent to this chat after your last answer",
        job_id=job.id,
        prompt=excerpt(job.request.prompt, most=400).translate(NO_BRACKETS),
        artifact_paths=list(paths),
        use="reference_images for edits of these images, such as 'make it warmer'; the user has seen them",
        **({"remark": remark} if remark else {}),
    )


def excerpt(prompt: str, *, most: int = MOST_OF_A_PROMPT) -> str:
    """Quote the start of a prompt in one line."""
    line = " ".join(prompt.split())
    return f"“{line}”" if len(line) <= most else f"“{line[:most].rstrip()}…”"


def _json(**fields: Any) -> str:
    return json.dumps(fields, ensure_ascii=False)
