"""The doorbell: the Celery message that tells a worker which job to look at.

It carries a job id and its contract number, and may be lost or repeated without harm: the job table is
the truth. Celery builds the message but does not send it; the store's scripts push it in the same
round trip that changes the job, so a bell costs no connection of its own.
"""

from __future__ import annotations

import json
import uuid

from kombu import Connection
from kombu.serialization import dumps

from contract.store.celery_app import QUEUE, TASK, celery_app
from contract.version import CONTRACT


class Doorbell:
    """Makes bells: messages as Celery's Redis transport would push them."""

    def __init__(self) -> None:
        self._app = celery_app("redis://")
        # Any kombu channel builds the same envelope; the memory one needs no connection.
        self._channel = Connection("memory://").default_channel

    def bell(self, job_id: str) -> str:
        """Make the message for one job, ready to be pushed to its list (about 0.1 ms)."""
        task = self._app.amqp.as_task_v2(
            job_id, TASK, args=(job_id,), argsrepr="(job)", kwargsrepr="{}", ignore_result=True
        )
        content_type, encoding, body = dumps(task.body, "json")
        properties = dict(
            task.properties,
            delivery_mode=2,
            delivery_info={"exchange": "", "routing_key": QUEUE},
            delivery_tag=str(uuid.uuid4()),
            priority=0,
        )
        headers = {**task.headers, "contract": CONTRACT}  # the script that sends it puts the job's own number there
        message = self._channel.prepare_message(body, 0, content_type, encoding, headers, properties)
        return json.dumps(message)
