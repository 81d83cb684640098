"""The Celery application that worker, Flower and doorbell share, and how it reaches Redis."""

from __future__ import annotations

from typing import Any

from celery import Celery
from kombu import Connection

from contract.store.keys import PREFIX
from contract.version import CONTRACT

TASK = "darkroom.develop"
QUEUE = "bells"
PRIORITIES = 10  # 0 is served first
PACE = {"interval_start": 2, "interval_step": 0, "interval_max": 2}  # s between attempts to connect

BELLS_KEY = PREFIX + QUEUE  # priority p > 0 waits in BELLS_KEY:p
# A queue for each contract that a worker keeps, the newest first: others take what is in the older ones, too.
QUEUES = (*(f"{QUEUE}-{number}" for number in range(CONTRACT, 1, -1)), QUEUE)


def broker_url(redis_url: str) -> str:
    """Write a Redis URL as kombu needs it, which checks certificates only if told to."""
    if redis_url.startswith("unix://"):
        return "redis+socket://" + redis_url.removeprefix("unix://").replace("?db=", "?virtual_host=")
    if redis_url.startswith("rediss://") and "ssl_cert_reqs=" not in redis_url:
        return redis_url + ("&" if "?" in redis_url else "?") + "ssl_cert_reqs=required"
    return redis_url


class BrokerConnection(Connection):  # type: ignore[misc]
    """A connection to the broker; while Redis is away it is not tried ever more rarely."""

    def ensure_connection(self, *args: Any, **options: Any) -> Any:
        """Connect, again and again until it works."""
        return super().ensure_connection(*args, **(PACE | options))


def celery_app(redis_url: str) -> Celery:
    """Build the Celery application.

    Nothing of Celery's own reliability is used, acknowledgements neither; docs/explanation/architecture.md says why.
    """
    app = Celery("darkroom", broker=broker_url(redis_url), set_as_current=False)
    app.amqp.Connection = BrokerConnection
    app.conf.update(
        accept_content=["json"],
        broker_connection_max_retries=None,
        broker_connection_retry_on_startup=True,
        broker_transport_options={
            "ack_emulation": False,  # a bell that is taken is gone: no record in Redis, nothing to acknowledge
            "global_keyprefix": PREFIX,
            "health_check_interval": 2,  # a link that went silent is given up after 3 to 5 s
            "priority_steps": list(range(PRIORITIES)),
            "queue_order_strategy": "priority",
            "sep": ":",
            "socket_connect_timeout": 2,
            "socket_timeout": 3,
        },
        event_serializer="json",
        task_acks_late=False,
        task_default_queue=QUEUE,
        task_ignore_result=True,
        task_serializer="json",
        # Of tasks that are acknowledged late, as no bell is; else Celery warns of it at each loss of Redis.
        worker_cancel_long_running_tasks_on_connection_loss=True,
        worker_disable_prefetch=True,
        worker_hijack_root_logger=False,
        worker_prefetch_multiplier=1,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,  # of jobs the journal tells; Celery would call a failed one a success
    )
    return app
