"""The log lines of a worker: Darkroom's own, and of the libraries' only what an operator can use."""

from __future__ import annotations

import logging

from celery.signals import setup_logging
from celery.worker.consumer.consumer import CONNECTION_ERROR, CONNECTION_RETRY

from contract.telemetry.logs import log_to_stderr


def set_up_logs() -> None:
    """Log to stderr, and keep Celery from setting levels and formats of its own."""
    log_to_stderr()
    for chatty in ("httpx", "httpcore", "celery", "kombu"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("celery.worker.consumer.consumer").addFilter(_is_not_of_redis)
    setup_logging.connect(lambda **_: None, weak=False)


def _is_not_of_redis(record: logging.LogRecord) -> bool:
    """Leave out each try of Celery to reach Redis: `Leases` tells once that it is away, and once that it is back."""
    return record.msg != CONNECTION_ERROR and CONNECTION_RETRY not in record.getMessage()
