"""Delivering webhooks: what an answer means, and what is sent to whom, over real TLS in a network of our own."""

import asyncio
import logging
import ssl
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from pydantic import SecretStr

from contract.errors.exceptions import Unavailable
from contract.settings.environment import Environment
from contract.settings.installation_secret import InstallationSecret
from contract.webhook import Webhook, seal
from tests.support.network.certificates import Certificates
from tests.support.network.fake_network import Network
from tests.support.network.image_host import Cdn, reply
from worker.webhooks import dispatcher
from worker.webhooks.dispatcher import (
    MOST,
    MOST_OF_OWNER,
    MOST_TO_HOST,
    SPARE,
    WebhookAnswer,
    WebhookDispatcher,
    outcome,
)
from worker.webhooks.outbox import Delivery, WebhookState

SCHEDULE = Environment().webhook_schedule
HOST, PUBLIC = "hooks.example", "93.184.215.14"
URL = f"https://{HOST}/in?sig=canary"
SECRET = InstallationSecret(Path("/nowhere"), SecretStr("canary" * 6))


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
@pytest.mark.parametrize("number", [1, 8, 9])
def test_g21_a_2xx_is_delivered(status: int, number: int) -> None:
    assert outcome(WebhookAnswer(status), number, SCHEDULE) == (WebhookState.DELIVERED, 0)


@pytest.mark.parametrize("number", [1, 8])
def test_b82_who_is_gone_is_not_asked_again(number: int) -> None:
    assert outcome(WebhookAnswer(410), number, SCHEDULE) == (WebhookState.FAILED, 0)


@pytest.mark.parametrize("status", [0, 100, 199, 300, 301, 302, 304, 307, 400, 401, 404, 422, 429, 500, 503, 599, 999])
def test_g21_everything_else_is_tried_again_by_the_schedule(status: int) -> None:
    waits = [outcome(WebhookAnswer(status), number, SCHEDULE) for number in range(1, len(SCHEDULE))]
    assert {state for state, _ in waits} == {WebhookState.PENDING}
    for (_, wait_s), meant_s in zip(waits, SCHEDULE[1:], strict=True):
        assert 0.9 * meant_s <= wait_s <= 1.1 * meant_s
    assert outcome(WebhookAnswer(status), len(SCHEDULE), SCHEDULE) == (WebhookState.FAILED, 0)


def test_waits_are_spread_unless_they_are_none() -> None:
    assert len({outcome(WebhookAnswer(500), 1, SCHEDULE)[1] for _ in range(20)}) > 10
    assert outcome(WebhookAnswer(500), 1, (0, 0)) == (WebhookState.PENDING, 0)


@pytest.mark.parametrize(
    ("retry_after_s", "number", "least_s", "most_s"),
    [(60, 1, 60, 60), (1, 1, 4.5, 5.5), (1e9, 1, 86_400, 86_400), (60, 2, 270, 330), (None, 1, 4.5, 5.5)],
)
def test_b82_a_longer_wait_is_granted_up_to_a_day(
    retry_after_s: float | None, number: int, least_s: float, most_s: float
) -> None:
    state, wait_s = outcome(WebhookAnswer(429, retry_after_s), number, SCHEDULE)
    assert state is WebhookState.PENDING
    assert least_s <= wait_s <= most_s


def test_b82_a_wait_grants_no_more_tries_than_there_are() -> None:
    assert outcome(WebhookAnswer(503, 60), len(SCHEDULE), SCHEDULE) == (WebhookState.FAILED, 0)


# Delivering


def delivery(url: str = URL, *, host: str = HOST, number: int = 1, sealed: str = "", **fields: str) -> Delivery:
    known = {
        "id": f"job-{number}",
        "state": "cancelled",
        "owner": "ann",
        "created_at": "0",
        "ended_at": "1000",
        "request": '{"prompt": "a fox", "aspect_ratio": "1:1", "image_size": "1K"}',
        "webhook": Webhook(url=url, host=host, sealed=sealed).model_dump_json(),
    }
    return Delivery(job_id=f"job-{number}", number=number, host=host, fields={**known, **fields})


class Table:
    """An outbox in memory, which is away for as long as it is told to be."""

    def __init__(self, *waiting: Delivery, away: int = 0) -> None:
        self.waiting = list(waiting)
        self.away = away
        self.settled: list[tuple[WebhookState, float]] = []
        self.most = 0
        self.under_way: Counter[str] = Counter()
        self.most_of: Counter[str] = Counter()

    async def take(
        self, most: int, *, busy: Mapping[str, int], most_to_host: int, most_of_owner: int
    ) -> tuple[list[Delivery], bool]:
        """Hand out what there is, as the script does."""
        if self.away:
            self.away -= 1
            raise Unavailable
        counts = Counter(busy)
        taken: list[Delivery] = []
        for one in list(self.waiting):
            bounds = dict(zip(one.shares, (most_to_host, most_of_owner), strict=True))
            if len(taken) < most and all(counts[share] < bound for share, bound in bounds.items()):
                counts.update(one.shares)
                self.waiting.remove(one)
                taken.append(one)
        self.most = max(self.most, sum(counts.values()) // 2)
        self.most_of |= counts
        return taken, False

    async def settle(self, _: Delivery, state: WebhookState, *, wait_s: float = 0) -> None:
        """Keep what came of one."""
        self.settled.append((state, wait_s))


def online(folder: Path, port: int, *addresses: str) -> Network:
    return Network(log=folder / "net.log", names={HOST: [addresses or [PUBLIC]]}, routes={f"{PUBLIC}:443": port})


async def deliver(table: Table, context: ssl.SSLContext | None = None, *, count: int = 1) -> None:
    """Let a courier work until so much has come to an end."""
    works = WebhookDispatcher(
        table,  # type: ignore[arg-type]
        ssl_context=context or ssl.create_default_context(),
        secret=SECRET,
        schedule=SCHEDULE,
        allowed=(),
    )
    task = asyncio.create_task(works.keep())
    async with asyncio.timeout(10):
        while len(table.settled) < count and not task.done():
            await asyncio.sleep(0.01)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """A courier that looks often and gives up soon."""
    monkeypatch.setattr(dispatcher, "LOOK_S", 0.02)
    monkeypatch.setattr(dispatcher, "WHOLE_S", 0.3)
    monkeypatch.setattr(dispatcher, "REST_S", 0.1)


@pytest.mark.parametrize("own", ["", "whsec_" + "QUJD" * 11])
async def test_g21_what_is_sent_goes_to_the_judged_address_in_the_hosts_name(
    own: str, tmp_path: Path, certificates: Certificates
) -> None:
    table = Table(delivery(sealed=seal(own, SECRET) if own else ""))
    async with Cdn(certificates.good(HOST), {"/in?sig=canary": reply(200)}) as cdn:
        net = online(tmp_path, cdn.port)
        with net.installed():
            await deliver(table, certificates.client())
    assert table.settled == [(WebhookState.DELIVERED, 0)]
    assert (net.resolved(), net.connected(), cdn.names) == ([HOST], [f"{PUBLIC}:443"], [HOST])
    headers = dict(line.split(": ", 1) for line in cdn.asked[0].strip().split("\r\n")[1:])
    assert (headers["host"], headers["user-agent"]) == (HOST, "nanobot-darkroom")
    assert headers["webhook-id"] == "msg_job-1"
    assert headers["webhook-signature"].startswith("v1,")


@contextmanager
def answering(monkeypatch: pytest.MonkeyPatch, answer: Callable[[], object]) -> Iterator[None]:
    """Let each delivery come to this, without a socket."""

    async def post(*_: object) -> object:
        await asyncio.sleep(0.02)
        return answer()

    with monkeypatch.context() as patch:
        patch.setattr(WebhookDispatcher, "_post", post)
        yield


@pytest.mark.usefixtures("fast")
async def test_b82_only_so_many_are_under_way_and_only_a_few_to_one_host_or_for_one_owner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crowd = [delivery(host="one.example", owner_digest=f"owner-{number}") for number in range(30)]
    others = [delivery(host=f"{number}.example", owner_digest=f"owner-{number}") for number in range(80)]
    bobs = [delivery(host=f"{number}.bob.example", owner_digest="bob") for number in range(30)]
    table = Table(*crowd, *bobs, *others)
    with answering(monkeypatch, lambda: WebhookAnswer(200)):
        await deliver(table, count=140)
    assert table.settled == [(WebhookState.DELIVERED, 0)] * 140
    assert table.most == MOST
    assert (table.most_of["host one.example"], table.most_of["owner bob"]) == (MOST_TO_HOST, MOST_OF_OWNER)


@pytest.mark.usefixtures("fast")
async def test_an_outage_and_a_bug_end_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    answers = iter([RuntimeError(URL), WebhookAnswer(200)])

    def answer() -> object:
        if isinstance(said := next(answers), Exception):
            raise said
        return said

    table = Table(delivery(), away=3)
    with answering(monkeypatch, answer):
        await deliver(table)
        table.waiting.append(delivery(number=2))
        await deliver(table, count=2)
    assert [state for state, _ in table.settled] == [WebhookState.PENDING, WebhookState.DELIVERED]
    assert "a webhook broke: RuntimeError" in caplog.text
    assert "canary" not in caplog.text


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize(
    ("odd", "says"),
    [
        (delivery(webhook="x"), "something is wrong inside Darkroom"),
        (delivery(sealed="x"), "it could not be signed"),
        (delivery("http://10.0.0.1/canary"), "it was not opened"),
        (delivery("https://10.0.0.1/canary"), "it was not opened"),
        (delivery("https://nowhere.example/canary"), "it could not be reached (Unresolvable)"),
        (delivery(number=len(SCHEDULE) + SPARE + 1), "workers died over it"),
    ],
)
async def test_what_cannot_be_sent_is_told_by_its_host_only(
    odd: Delivery, says: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    table = Table(odd)
    with Network(log=tmp_path / "net.log").installed():
        await deliver(table)
    state = WebhookState.FAILED if odd.number > 1 else WebhookState.PENDING
    assert [state for state, _ in table.settled] == [state]
    assert says in caplog.text
    assert "canary" not in caplog.text


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (reply(200, b"x" * 100_000)[:5000], WebhookState.DELIVERED),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 99999999999\r\n\r\n", WebhookState.DELIVERED),
        (b"HTTP/1.1 200", WebhookState.PENDING),
        (b"", WebhookState.PENDING),
        (b"no HTTP\r\n\r\n", WebhookState.PENDING),
        (reply(302, location="http://["), WebhookState.PENDING),
        (reply(200, content_encoding="gzip"), WebhookState.DELIVERED),
    ],
    ids=["cut off", "silent body", "half a head", "silence", "garbage", "odd redirect", "encoded"],
)
async def test_b82_what_a_receiver_says_beyond_its_status_does_not_matter(
    answer: bytes, state: WebhookState, tmp_path: Path, certificates: Certificates
) -> None:
    table = Table(delivery())
    async with Cdn(certificates.good(HOST), {"/in?sig=canary": answer}) as cdn:
        with online(tmp_path, cdn.port).installed():
            await deliver(table, certificates.client())
    assert [state for state, _ in table.settled] == [state]
