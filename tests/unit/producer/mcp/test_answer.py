"""What tools say of a job: words that are true, the same twice, and no path."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mcp_types import ImageContent, TextContent

from contract.errors.catalogue.request import IDEMPOTENCY_KEY_INVALID, JOB_NOT_FOUND
from contract.errors.catalogue.table import KINDS
from contract.errors.exceptions import Refused
from contract.jobs.job import Failure, JobState, Progress
from producer.mcp.answer import (
    Links,
    ShownImage,
    answer_of,
    eta_words,
    images_of,
    list_of,
    next_step,
    refusal_of,
    result_of,
    words_of,
)
from tests.support.factories.ended_job import ARTIFACT, a_job

SHOWN = ShownImage("AAAA", "image/webp", False)


def a_queued_job(**changes: Any) -> Any:
    values: dict[str, Any] = {
        "state": JobState.QUEUED,
        "images": (),
        "degraded": None,
        "error": None,
        "position": 3,
        "progress": Progress(done=0, count=1, message="Queued, 3 ahead."),
    }
    return a_job(**(values | changes))


def test_what_was_delivered_instead_and_what_is_missing_is_told() -> None:
    assert words_of(a_job()) == "1 of 1 Delivered at 1K: 2K timed out. The model answered without an image."


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        ((20, 40), "in about 20 to 40 s"),
        ((40, 40), "in about 40 s"),
        ((90, 300), "in about 90 s to 5 min"),
        ((180, 300), "in about 3 to 5 min"),
        ((0, 0), "in about 1 s"),
    ],
)
def test_a_time_in_words(expected: tuple[int, int], words: str) -> None:
    assert eta_words(expected) == words


def test_what_is_under_way_is_to_be_asked_for_later_and_not_once_more() -> None:
    answer = answer_of(a_queued_job(), expected=(20, 40))
    assert (answer.position, answer.eta, answer.images) == (3, "in about 20 to 40 s", ())
    assert "Do not call generate_image again" in answer.next_step
    assert f"get_image_job with job_id {answer.job_id} and wait_seconds 20" in answer.next_step
    assert "call cancel_image_job with this job_id" in answer.next_step


def test_an_answer_names_where_a_job_is_if_it_is_anywhere() -> None:
    answer = answer_of(a_queued_job(), expected=None, status_url="http://there/v1/jobs/7")
    listed = list_of([a_job()], None, status_url=lambda job_id: f"http://there/v1/jobs/{job_id}")
    assert result_of(answer).structured_content["status_url"] == "http://there/v1/jobs/7"
    assert listed.jobs[0].status_url == f"http://there/v1/jobs/{a_job().id}"
    assert "status_url" not in result_of(answer_of(a_queued_job(), expected=None)).structured_content


@pytest.mark.parametrize(
    ("state", "retryable", "words"),
    [
        (JobState.FAILED, True, "Tell the user what went wrong. The same call may succeed later."),
        (JobState.EXPIRED, False, "Tell the user what went wrong."),
        (JobState.CANCELLED, False, "Tell the user that it was cancelled."),
    ],
)
def test_what_to_do_without_images(state: JobState, retryable: bool, words: str) -> None:
    error = Failure(code="no_image", detail="None.", retryable=retryable)
    assert next_step(a_queued_job(state=state, error=error)) == words


def test_what_to_do_with_images_names_them_as_clients_have_names_of_their_own() -> None:
    assert next_step(a_job()).endswith(f"call generate_image with its id in reference_images: {ARTIFACT}.")


def test_an_answer_stands_there_twice_with_true_sizes_and_no_path() -> None:
    images = images_of(a_job(), [SHOWN], [Links(url="http://there")])
    result = result_of(answer_of(a_job(), expected=None, images=images), [SHOWN])
    text, picture = result.content
    assert isinstance(text, TextContent)
    assert json.loads(text.text) == result.structured_content
    assert picture == ImageContent(data="AAAA", mime_type="image/webp")
    told = {"id": ARTIFACT, "mime": "image/png", "width": 8, "height": 8, "shown": "smaller", "url": "http://there"}
    assert result.structured_content["images"] == [told]
    assert "/home/" not in text.text


def test_an_image_that_cannot_be_had_is_told_all_the_same() -> None:
    images = images_of(a_job(), [None], [Links()])
    result = result_of(answer_of(a_job(), expected=None, images=images), [None])
    assert (images[0].shown, len(result.content)) == ("no", 1)


def test_a_list_has_the_beginning_of_each_prompt() -> None:
    request = a_job().request.model_copy(update={"prompt": "a\nred  fox " * 100})
    [job] = list_of([a_job(request=request)], "1:2").jobs
    assert (job.prompt[:20], job.prompt[-1], len(job.prompt)) == ("a red fox a red fox ", "…", 120)
    assert job.images == (ARTIFACT,)


@pytest.mark.parametrize("code", ["reference_needs_upload", "reference_outside_roots", "reference_not_found"])
def test_a_call_that_names_a_copy_is_told_how_an_image_is_named(code: str) -> None:
    [content] = refusal_of(Refused(KINDS[code])).content
    assert isinstance(content, TextContent)
    rejected, hint = content.text.splitlines()
    assert rejected.startswith("Reference image rejected: ")
    assert "its id in the answers of generate_image" in hint


def test_a_refusal_is_nothing_but_its_sentences() -> None:
    error = Refused(JOB_NOT_FOUND)
    error.others = (Refused(IDEMPOTENCY_KEY_INVALID),)
    result = refusal_of(error)
    assert (result.is_error, result.structured_content) == (True, None)
    assert [content.text for content in result.content if isinstance(content, TextContent)] == [
        "There is no such job.\nAn idempotency key must have 1 to 255 printable characters."
    ]
