"""The status words of vendors, however they are spelt and wherever they stand."""

import pytest

from worker.answers.task_stage import Stage, is_lost, stage, stage_of
from worker.answers.untrusted_json import Json

WORDS = {
    Stage.DONE: ("succeeded", "SUCCEED", "Success", "completed", "Ready", "JOB_STATE_SUCCEEDED", "task_completed"),
    Stage.FAILED: (
        *("failed", "FAIL", "Error", "canceled", "CANCELLED", "aborted", "taskFailed", "TASK_STATUS_FAILED"),
        *("generation failed", "timed_out", "internal-error"),
    ),
    Stage.REFUSED: ("Request Moderated", "Content Moderated", "requestModerated", "content_filtered", "NSFW"),
    Stage.GONE: ("expired", "Task not found", "NOT_FOUND", "deleted"),
    Stage.GOING: (
        *("processing", "Pending", "IN_QUEUE", "IN_PROGRESS", "starting", "rendering_step_7", "cancelling", "unknown"),
        *("not_ready", "not completed", "almost_done", "", "…", "处理中", "x" * 10_000),
    ),
}


@pytest.mark.parametrize(("expected", "word"), [(stage, word) for stage, words in WORDS.items() for word in words])
def test_a_word_is_known_or_means_that_the_task_goes_on(expected: Stage, word: str) -> None:
    assert stage(word) is expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"output": {"task_status": "FAILED"}}, Stage.FAILED),
        ({"output": [{"status": "failed"}]}, Stage.FAILED),
        ({"output": [{"status": "failed"}, {"status": "succeeded"}]}, Stage.GOING),
        ({"status": "success", "data": {"status": "running"}}, Stage.GOING),
        ({"status": "success", "data": {"taskStatus": "SUCCEED"}}, Stage.DONE),
        ({"status": "succeeded", "data": {"state": "expired"}}, Stage.GONE),
        ({"status": 7, "state": None, "output": "failed"}, Stage.GOING),
        ({}, Stage.GOING),
    ],
    ids=str,
)
def test_an_end_counts_wherever_it_stands_and_a_success_innermost(answer: dict[str, Json], expected: Stage) -> None:
    assert stage_of(answer) is expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        *((words, True) for words in ("Task not found", "task_not_exist", "TaskNotFound", "The job 7 does not exist")),
        *((words, True) for words in ("Prediction cannot be found", "this result has expired", "No such task: 7")),
        *((words, False) for words in ("model not found", "API key expired", "Not now", "", "the task failed")),
        ("task failed: model was not found", False),
    ],
)
def test_words_about_a_lost_task_are_told_from_others(said: str, expected: bool) -> None:
    assert is_lost(said) is expected
