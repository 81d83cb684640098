"""What one would build without Darkroom, a Celery worker for images: `python -m tests.chaos.plain_celery.control`.

It does what Celery's guide and its users advise for tasks that must not be lost: late acknowledgement, also when
a worker process is lost, one message at a time, retries with backoff. The checker must find what it loses and
does twice under the storm that Darkroom bears.
"""

from __future__ import annotations

import base64
import json
import os
import uuid
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from celery import Celery
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

TASK = "control.make_images"
RESULTS = "results.jsonl"
PASSING = (httpx.HTTPError, LookupError, TypeError, ValueError)  # the provider's bad moments


def control_app(broker: str) -> Celery:
    """Build the application that the worker and its clients share; `broker` is a URL as Celery spells it."""
    app = Celery("control", broker=broker, set_as_current=False)
    app.conf.update(
        broker_connection_max_retries=None,
        broker_connection_retry_on_startup=True,
        broker_transport_options={"visibility_timeout": int(os.environ.get("CONTROL_VISIBILITY_SECONDS", "5"))},
        task_acks_late=True,
        task_ignore_result=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
    )
    return app


def submit(app: Celery, *, job_id: str, prompt: str, count: int) -> None:
    """Send a task; it may take a while if the broker is away. Raises kombu's OperationalError."""
    app.send_task(TASK, (job_id, prompt, count), task_id=job_id)


def completed(folder: Path) -> list[tuple[str, list[str]]]:
    """List the jobs that were completed, each time they were, with the names of their images."""
    path = folder / RESULTS
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [(line["job_id"], line["images"]) for line in lines]


def make_images(job_id: str, prompt: str, count: int) -> None:
    """Make the images of a job, store them, and say so in a line."""
    folder = Path(os.environ["CONTROL_FOLDER"])
    names = []
    for _ in range(count):
        picture = _generate(prompt)
        names.append(f"{job_id}-{uuid.uuid4()}.png")
        (folder / names[-1]).write_bytes(picture)
    with (folder / RESULTS).open("a") as results:
        results.write(json.dumps({"job_id": job_id, "images": names}) + "\n")


@retry(
    retry=retry_if_exception_type(PASSING),
    stop=stop_after_attempt(3),
    wait=wait_exponential_jitter(initial=0.2, max=5),
    reraise=True,
)
def _generate(prompt: str) -> bytes:
    body = {"model": "a/b", "messages": [{"role": "user", "content": prompt}], "modalities": ["image", "text"]}
    response = _provider().post("/chat/completions", json=body)
    response.raise_for_status()
    url = response.json()["choices"][0]["message"]["images"][0]["image_url"]["url"]
    return base64.b64decode(url.partition(";base64,")[2], validate=True)


@cache
def _provider() -> httpx.Client:
    """Open one client in each process of the pool."""
    return httpx.Client(
        base_url=os.environ["CONTROL_PROVIDER"], headers={"Authorization": "Bearer control"}, timeout=10
    )


def main() -> None:
    """Run a worker until it is stopped."""
    app = control_app(os.environ["CONTROL_BROKER"])
    how: dict[str, Any] = {"autoretry_for": PASSING, "max_retries": 5, "retry_backoff": 1, "retry_backoff_max": 4}
    app.task(name=TASK, **how)(make_images)
    app.worker_main(["worker", f"--concurrency={os.environ['CONTROL_CONCURRENCY']}", "--loglevel=WARNING"])


if __name__ == "__main__":
    main()
