"""How many jobs wait and run, where Flower would count Celery's messages: of those an owner has ten at most."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from flower.api.tasks import GetQueueLengths
from flower.views.broker import BrokerView

from contract.monitoring.journal import Counts


class JobQueues:
    """The jobs of the table by where they stand, in the form of Flower's broker."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    async def queues(self, names: Iterable[str]) -> list[dict[str, object]]:
        """Count the jobs that are ready, parked, waiting and running; Celery's `names` are not asked for."""
        return [{"name": f"jobs {name}", "messages": count} for name, count in asdict(self._counts).items()]


class QueueLengths(GetQueueLengths):  # type: ignore[misc]
    """`/api/queues/length`."""

    def get_broker(self) -> JobQueues:
        """Count jobs, not messages."""
        return JobQueues(self.application.events.counts)


class QueuePage(BrokerView):  # type: ignore[misc]
    """`/broker`."""

    def get_broker(self) -> JobQueues:
        """Count jobs, not messages."""
        return JobQueues(self.application.events.counts)


HANDLERS = [(r"/api/queues/length", QueueLengths), (r"/broker", QueuePage)]
