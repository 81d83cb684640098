"""What MCP tools answer: a job in few words, for a model that has to tell people of it.

The same stands in an answer twice, as structured content and as text, since many clients read only one of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

from mcp_types import CallToolResult, ContentBlock, ImageContent, TextContent
from pydantic import Field

from contract.errors.catalogue.request import REFERENCE_NEEDS_UPLOAD, REFERENCE_NOT_FOUND, REFERENCE_OUTSIDE_ROOTS
from contract.errors.exceptions import DarkroomError, Refused
from contract.frozen_model import FrozenModel
from contract.jobs import wording
from contract.jobs.duration import duration
from contract.jobs.job import Job, JobState

MAX_WORDS = 120  # of a prompt in a list, in characters
FAILED = frozenset({JobState.FAILED, JobState.EXPIRED})
NAMING = (  # clients keep copies under ids that look like ours, and models name those
    "An image that was made here is named by its id in the answers of generate_image and list_image_jobs, "
    "not by the id or the path of a copy that was kept elsewhere."
)
LOOK_AT_ONE = "get_image_job with one of these job_ids tells how that job stands, and shows its images."
HINTS = dict.fromkeys((REFERENCE_NEEDS_UPLOAD.code, REFERENCE_NOT_FOUND.code, REFERENCE_OUTSIDE_ROOTS.code), NAMING)


class ShownImage(NamedTuple):
    """An image as it goes into an answer: base64 and its type; a smaller one if it is not the original."""

    data: str
    mime: str
    is_original: bool


class ToolImage(FrozenModel):
    """One delivered image."""

    id: str = Field(description="Its artifact id, which reference_images accepts for editing it.")
    mime: str
    width: int = Field(description="Of the original, in pixels.")
    height: int = Field(description="Of the original, in pixels.")
    shown: Literal["original", "smaller", "no"] = Field(
        description="Whether this answer has the original, a smaller copy, or no data of it."
    )
    url: str | None = Field(None, description="Address of the original; needs the token.")
    signed_url: str | None = Field(None, description="The same without a token, valid for an hour or two.")
    path: str | None = Field(None, description="Path of the original on this machine.")


class JobAnswer(FrozenModel):
    """How a job stands, in words and figures."""

    job_id: str
    state: JobState
    message: str = Field(description="Its state, in words for the user.")
    done: int = Field(description="How many images are made.")
    count: int = Field(description="How many were requested.")
    position: int | None = Field(None, description="How many jobs are served before this one.")
    eta: str | None = Field(None, description="The expected time, in words, if known.")
    images: tuple[ToolImage, ...] = ()
    error: str | None = Field(None, description="The code of the error.")
    warnings: tuple[str, ...] = Field((), description="Notes for the user, in words.")
    is_repeat: bool = Field(False, description="This is the job of an equal call a moment ago; no other one was made.")
    status_url: str | None = Field(None, description="Address of the job over HTTP; needs the token.")
    next_step: str = Field(description="What to do with this answer.")


class ListedJob(FrozenModel):
    """A job in a list."""

    job_id: str
    state: JobState
    message: str
    created_at: datetime
    prompt: str = Field(description="The start of its prompt.")
    images: tuple[str, ...] = Field(description="The artifact ids of its images.")
    status_url: str | None = Field(None, description="Address of the job over HTTP; needs the token.")


class JobListAnswer(FrozenModel):
    """Some jobs, newest first."""

    jobs: tuple[ListedJob, ...]
    next: str | None = Field(None, description="The cursor of the next page, if there may be one.")
    next_step: str = Field(description="What to do with this answer.")


class Links(NamedTuple):
    """Where an image can be had."""

    url: str | None = None
    signed_url: str | None = None
    path: str | None = None


def answer_of(
    job: Job,
    *,
    expected: tuple[int, int] | None,
    images: Sequence[ToolImage] = (),
    is_repeat: bool = False,
    status_url: str | None = None,
) -> JobAnswer:
    """Tell how a job stands."""
    return JobAnswer(
        job_id=job.id,
        state=job.state,
        message=words_of(job),
        done=job.progress.done,
        count=job.progress.count,
        position=job.position,
        eta=eta_words(expected) if expected else None,
        images=tuple(images),
        error=job.error.code if job.error else None,
        warnings=job.warnings,
        is_repeat=is_repeat,
        status_url=status_url,
        next_step=next_step(job),
    )


def images_of(job: Job, prints: Sequence[ShownImage | None], links: Sequence[Links]) -> list[ToolImage]:
    """Tell of each image of a job what it is and how much of it is shown."""
    return [
        ToolImage(
            **image.model_dump(include={"id", "mime", "width", "height"}),
            shown="no" if shown is None else "original" if shown.is_original else "smaller",
            **where._asdict(),
        )
        for image, shown, where in zip(job.images, prints, links, strict=True)
    ]


def list_of(
    jobs: Sequence[Job], following: str | None, *, status_url: Callable[[str], str | None] = lambda _: None
) -> JobListAnswer:
    """Tell of some jobs, and by `status_url` where each of them is."""
    listed = (
        ListedJob(
            job_id=job.id,
            state=job.state,
            message=words_of(job),
            created_at=job.created_at,
            prompt=_begin(job.request.prompt),
            images=tuple(image.id for image in job.images),
            status_url=status_url(job.id),
        )
        for job in jobs
    )
    return JobListAnswer(jobs=tuple(listed), next=following, next_step=LOOK_AT_ONE)


def words_of(job: Job) -> str:
    """Say how a job stands, what was delivered instead of what was asked for, and why images are missing."""
    said = [job.progress.message]
    if job.degraded is not None:
        said.append(f"{wording.degraded(job.degraded)}.")
    if job.error is not None:
        said.append(job.error.detail)
    return " ".join(said)


def eta_words(expected: tuple[int, int]) -> str:
    """Say when a job may be done, as in "in about 20 to 40 s"."""
    least, most = (duration(seconds) for seconds in expected)
    if least == most:
        return f"in about {most}"
    number, _, unit = least.rpartition(" ")
    return f"in about {number if most.endswith(f' {unit}') else least} to {most}"


def next_step(job: Job) -> str:
    """Say what a model should do now."""
    if not job.is_over:
        return (
            "It is under way: tell the user so, with what is known of the time. Do not call generate_image again "
            f"for it. Later call get_image_job with job_id {job.id} and wait_seconds 20 until it is done. If the user "
            "does not want it any more, call cancel_image_job with this job_id; otherwise it goes on and is paid."
        )
    if job.images:
        ids = ", ".join(image.id for image in job.images)  # clients give the copies that they keep ids of their own
        return (
            f"Show the images to the user. To change one, call generate_image with its id in reference_images: {ids}."
        )
    if job.state is JobState.CANCELLED:
        return "Tell the user that it was cancelled."
    again = " The same call may succeed later." if job.error and job.error.retryable else ""
    return f"Tell the user what went wrong.{again}"


def result_of(
    answer: FrozenModel, prints: Sequence[ShownImage | None] = (), *, is_error: bool = False
) -> CallToolResult:
    """Put an answer together: structured, as text, and its images."""
    told: dict[str, Any] = answer.model_dump(mode="json", exclude_none=True)
    content: list[ContentBlock] = [TextContent(text=json.dumps(told, ensure_ascii=False))]
    content += [ImageContent(data=shown.data, mime_type=shown.mime) for shown in prints if shown is not None]
    return CallToolResult(content=content, structured_content=told, is_error=is_error)


def refusal_of(error: DarkroomError) -> CallToolResult:
    """Tell what is wrong with a call: all of it, a sentence each, and what a model may have meant."""
    wrong = (error, *error.others) if isinstance(error, Refused) else (error,)
    lines = [line for one in wrong for line in (one.detail, HINTS.get(one.code)) if line]
    return CallToolResult(content=[TextContent(text="\n".join(lines))], is_error=True)


def _begin(prompt: str) -> str:
    line = " ".join(prompt.split())
    return line if len(line) <= MAX_WORDS else line[: MAX_WORDS - 1] + "…"
