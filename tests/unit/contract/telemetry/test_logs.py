"""Log lines: one a record, with the ids that they are about, whoever logs."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Iterator

import pytest

from contract.errors.catalogue.job_failure import INTERNAL_ERROR
from contract.errors.catalogue.provider import CONTENT_REFUSED
from contract.errors.catalogue.request import JOB_NOT_FOUND
from contract.errors.exceptions import DarkroomError, Refused, Unavailable
from contract.telemetry.logs import LogFormatter, about
from producer.error_log import report

JOB = "904947f4-0e7a-46b5-8b45-18eb4e79b3c5"

logger = logging.getLogger("test")


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What all loggers write."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(LogFormatter("%(levelname)s %(message)s"))
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield written
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({}, "INFO cannot store"),
        ({"extra": {"job_id": JOB}}, f"INFO cannot store job_id={JOB}"),
        ({"extra": {"request_id": "req_1", "job_id": JOB}}, f"INFO cannot store job_id={JOB} request_id=req_1"),
        ({"extra": {"job_id": ""}}, "INFO cannot store"),
        ({"extra": {"job_id": None}}, "INFO cannot store"),
    ],
)
def test_ids_stand_at_the_end_of_a_line(given: dict[str, dict[str, str]], line: str, log: io.StringIO) -> None:
    logger.info("cannot store", **given)  # type: ignore[arg-type]
    assert log.getvalue() == line + "\n"


def test_an_id_that_a_line_tells_is_not_told_twice(log: io.StringIO) -> None:
    logger.info("job %s failed", JOB, extra={"job_id": JOB})
    assert log.getvalue() == f"INFO job {JOB} failed\n"


@pytest.mark.parametrize("text", ["a\nERROR forged", "a\r\nb", "\x1b[31mred", "\x9b31m", "\u2028", "\x00", "\x7f"])
def test_nothing_that_is_told_begins_a_line_or_commands_a_terminal(text: str, log: io.StringIO) -> None:
    logger.info("%s", text, extra={"job_id": text})
    assert len(log.getvalue().splitlines()) == 1
    assert log.getvalue().removesuffix("\n").isprintable()


def test_a_traceback_follows_its_line(log: io.StringIO) -> None:
    try:
        raise ValueError("a crack")
    except ValueError:
        logger.exception("it broke", extra={"job_id": JOB})
    first, *trace = log.getvalue().splitlines()
    assert (first, trace[0], trace[-1]) == (
        f"ERROR it broke job_id={JOB}",
        "Traceback (most recent call last):",
        "ValueError: a crack",
    )


async def test_tasks_and_threads_say_what_they_are_about_and_not_what_others_are(log: io.StringIO) -> None:
    async def work(job_id: str) -> None:
        with about(job_id=job_id):
            await asyncio.sleep(0)
            await asyncio.create_task(asyncio.to_thread(logger.info, "stored"))
            with about(request_id="req_1"):
                logger.info("asked")
            logger.info("of another", extra={"job_id": "c"})

    await asyncio.gather(work("x"), work("y"))
    logger.info("done")
    told = log.getvalue().splitlines()
    wanted = ["stored job_id={}", "asked job_id={} request_id=req_1", "of another job_id=c"]
    assert sorted(told[:-1]) == sorted(f"INFO {line.format(id_)}" for line in wanted for id_ in "xy")
    assert told[-1] == "INFO done"


def caused(error: DarkroomError, cause: Exception) -> DarkroomError:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (Refused(JOB_NOT_FOUND), 0, ""),
        (Unavailable(), 0, "WARNING GET /v1/jobs: 503 queue_unavailable"),
        (
            caused(Unavailable(), TimeoutError()),
            0,
            "WARNING GET /v1/jobs: 503 queue_unavailable (Redis does not answer in time)",
        ),
        (caused(Unavailable(), OSError("canary")), 0, "WARNING GET /v1/jobs: 503 queue_unavailable (OSError)"),
        (DarkroomError(INTERNAL_ERROR), 0, "ERROR GET /v1/jobs: 500 internal_error"),
        (DarkroomError(CONTENT_REFUSED), 400, ""),
        (DarkroomError(CONTENT_REFUSED), 502, "ERROR GET /v1/jobs: 502 content_refused"),
    ],
)
def test_an_error_of_our_side_is_a_line(error: DarkroomError, status: int, line: str, log: io.StringIO) -> None:
    with about(request_id="req_1"):
        report(error, "GET /v1/jobs", status=status, job_id=JOB)
    assert log.getvalue() == (f"{line} job_id={JOB} request_id=req_1\n" if line else "")
