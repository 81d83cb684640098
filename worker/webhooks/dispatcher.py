"""The webhook dispatcher: notifies receivers of ended jobs, without delaying any job.

Each delivery is a task of its own with a client of its own, pinned to a checked address, 15 s long at most.
So many at a time, and not more than a few to one host and for one owner: slow receivers of one owner hold up no
other. What fails is tried again by the schedule. The log names hosts only: an address with its path may be a secret.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from random import SystemRandom

import httpx
import standardwebhooks

from contract.errors.exceptions import ConfigInvalid, Unavailable
from contract.settings.installation_secret import InstallationSecret
from contract.store.job_hash import read_job
from contract.telemetry.logs import about
from contract.untrusted.ssrf import Network, Unresolvable, UnsafeUrl, address_of, split
from contract.webhook import Webhook, signing_secret, unseal
from worker.answers.error_classification import retry_after
from worker.http.pinned_client import NOT_A_URL, open_client, pinned
from worker.policy.backoff import until_reachable
from worker.webhooks.outbox import Delivery, WebhookOutbox, WebhookState
from worker.webhooks.payload import event

LOOK_S = 1.0
PAGES = 10  # of the outbox, in one look
MOST = 64  # deliveries at a time
MOST_OF_OWNER = 8
MOST_TO_HOST = 4
RESOLVERS = 16
WHOLE_S = 15.0
CONNECT_S = 5.0
REST_S = 1.0  # for the answer's body, which says nothing that matters
REST_BYTES = 4096
LONGEST_WAIT_S = 86_400.0
SPARE = 3  # tries beyond the schedule, for workers that died over one

logger = logging.getLogger(__name__)


class Undelivered(Exception):
    """No answer came; the message says why, without the address."""


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    """What a receiver said."""

    status: int
    retry_after_s: float | None = None


class WebhookDispatcher:
    """One worker's part in delivering."""

    def __init__(
        self,
        outbox: WebhookOutbox,
        *,
        ssl_context: ssl.SSLContext,
        secret: InstallationSecret,
        schedule: Sequence[float],
        allowed: Sequence[Network],
    ) -> None:
        self._outbox = outbox
        self._ssl_context = ssl_context
        self._secret = secret
        self._schedule = schedule
        self._allowed = allowed
        # Apart from those of downloads, which must not wait for the name servers of receivers.
        self._resolvers = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="darkroom-webhooks")
        self._under_way: dict[asyncio.Task[None], Delivery] = {}
        self._free = asyncio.Event()

    async def keep(self) -> None:
        """Deliver for ever."""
        while True:
            self._free.clear()
            try:
                await self._take()
            except Unavailable:
                logger.debug("Redis is away; no webhook is taken")
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._free.wait()

    async def _take(self) -> None:
        for _ in range(PAGES):
            most = MOST - len(self._under_way)
            if not most:
                return
            busy = Counter(share for delivery in self._under_way.values() for share in delivery.shares)
            deliveries, more = await self._outbox.take(
                most, busy=busy, most_to_host=MOST_TO_HOST, most_of_owner=MOST_OF_OWNER
            )
            for delivery in deliveries:
                with about(job_id=delivery.job_id):
                    task = asyncio.create_task(self._deliver(delivery))
                    task.add_done_callback(self._ended)
                self._under_way[task] = delivery
            if not more:
                return

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._under_way[task]
        self._free.set()
        if not task.cancelled() and task.exception():  # Redis was away for minutes: its lease brings it back
            logger.warning("what came of a webhook could not be written")

    async def _deliver(self, delivery: Delivery) -> None:
        """Try once, and write what it came to. Raises Unavailable."""
        try:
            answer, why = await self._answer(delivery), ""
        except Undelivered as reason:
            answer, why = WebhookAnswer(0), str(reason)
        except Exception as error:  # noqa: BLE001
            # Its words, and so its traceback, may have the address in them.
            logger.error("a webhook broke: %s", type(error).__name__, extra={"job_id": delivery.job_id})
            answer, why = WebhookAnswer(0), "something is wrong inside Darkroom"
        state, wait_s = outcome(answer, delivery.number, self._schedule)
        self._log(delivery, state, wait_s, why or f"it answered {answer.status}")
        await until_reachable()(self._outbox.settle, delivery, state, wait_s=wait_s)

    async def _answer(self, delivery: Delivery) -> WebhookAnswer:
        if delivery.number > len(self._schedule) + SPARE:
            raise Undelivered("workers died over it")
        webhook = Webhook.model_validate_json(delivery.fields["webhook"])
        headers, body = self._signed(webhook, delivery)
        try:
            async with asyncio.timeout(WHOLE_S):
                return await self._post(webhook.url, headers, body)
        except UnsafeUrl as reason:
            logger.warning(
                "security: a webhook to %a is not opened: %s", delivery.host, reason, extra={"job_id": delivery.job_id}
            )
            raise Undelivered("it was not opened") from reason
        except NOT_A_URL as error:
            raise Undelivered("it is no address") from error
        except (Unresolvable, httpx.HTTPError, OSError) as error:  # OSError: TimeoutError too
            raise Undelivered(f"it could not be reached ({type(error).__name__})") from error

    def _signed(self, webhook: Webhook, delivery: Delivery) -> tuple[dict[str, str], bytes]:
        """Write what is sent, with its signature. Raises Undelivered: the secret cannot be read here."""
        job = read_job(delivery.fields, None)
        try:
            secret = unseal(webhook.sealed, self._secret) if webhook.sealed else signing_secret(self._secret, job.owner)
        except (ValueError, ConfigInvalid) as error:
            logger.error("webhooks cannot be signed: %s", error)
            raise Undelivered("it could not be signed") from error
        message, body = event(job)
        now = datetime.now(UTC)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": standardwebhooks.Webhook(secret).sign(message, now, body.decode()),
        }
        return headers, body

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        parts = split(url)
        address = await address_of(parts, within_s=WHOLE_S, allowed=self._allowed, threads=self._resolvers)
        async with open_client(self._ssl_context, connect_s=CONNECT_S, idle_s=WHOLE_S) as client:
            request = pinned(client, "POST", parts, address, headers=headers, content=body)
            response = await client.send(request, stream=True)
            try:
                await _skim(response)
            finally:
                await response.aclose()
        wait_s = retry_after(response.headers.get("retry-after"), response.headers.get("date"))
        return WebhookAnswer(response.status_code, wait_s if response.status_code in (429, 503) else None)

    def _log(self, delivery: Delivery, state: WebhookState, wait_s: float, why: str) -> None:
        said = {
            WebhookState.DELIVERED: "was delivered",
            WebhookState.PENDING: f"failed, as {why}; it is tried again in {wait_s:.0f} s",
            WebhookState.FAILED: f"is given up, as {why}",
        }
        level = logging.WARNING if state is WebhookState.FAILED else logging.INFO
        told = (delivery.number, delivery.host, said[state])
        logger.log(level, "try %s of a webhook to %a %s", *told, extra={"job_id": delivery.job_id})


def outcome(answer: WebhookAnswer, number: int, schedule: Sequence[float]) -> tuple[WebhookState, float]:
    """Decide what the answer to a try means, and how long to wait for the next one."""
    if 200 <= answer.status < 300:
        return WebhookState.DELIVERED, 0
    if answer.status == 410 or number >= len(schedule):
        return WebhookState.FAILED, 0
    wait_s = schedule[number] * SystemRandom().uniform(0.9, 1.1)
    return WebhookState.PENDING, max(wait_s, min(answer.retry_after_s or 0, LONGEST_WAIT_S))


async def _skim(response: httpx.Response) -> None:
    """Read some of a response, so that its receiver does not see a broken connection."""
    size = 0
    with suppress(httpx.HTTPError, OSError):  # OSError: TimeoutError too
        async with asyncio.timeout(REST_S):
            async for chunk in response.aiter_raw():
                size += len(chunk)
                if size >= REST_BYTES:
                    return
