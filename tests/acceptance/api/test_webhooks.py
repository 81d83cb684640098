"""Webhooks by real workers to a real receiver: each end is told at least once, signed, and nobody is led astray.

The schedule is compressed. The receiver is on loopback, which DARKROOM_WEBHOOK_NETWORKS allows.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import signal
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import standardwebhooks

from contract.errors.exceptions import Refused
from contract.jobs.job import TERMINAL, Job, JobState
from contract.redis.client import open_redis
from contract.settings.installation_secret import InstallationSecret
from contract.webhook import signing_secret
from tests.support.network.certificates import Certificates
from tests.support.network.fake_network import Network
from tests.support.network.image_host import Cdn, reply
from tests.support.network.webhook_receiver import GOOD, Heard, Receiver
from tests.support.process.secret_canaries import Search
from tests.support.stack.stack import Stack
from worker.webhooks.outbox import LEASE_S

pytestmark = pytest.mark.real_redis

KEY = "darkroom:webhooks"
OWN = "whsec_" + base64.b64encode(b"canary-of-a-client-0123456789").decode()
PUBLIC, METADATA, PRIVATE = "93.184.215.14", "169.254.169.254", "10.0.0.7"
HOOKS = "hooks.sim.test"
SEED = 20261127


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver that is content."""
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
def stack(stack: Stack) -> Stack:
    """A Darkroom that tells receivers on loopback, 19 times if need be."""
    configure(stack, "0" + ",0.1" * 18)
    return stack


def configure(stack: Stack, schedule: str) -> None:
    lines = ["DARKROOM_WEBHOOK_NETWORKS=127.0.0.0/8", f"DARKROOM_WEBHOOK_SCHEDULE={schedule}"]
    (stack.folder / "darkroom.env").write_text("\n".join(lines))


async def submit(stack: Stack, url: str | None, *, owner: str = "ann", secret: str | None = None) -> Job:
    async with stack.client(owner) as darkroom:
        return await darkroom.submit(prompt="a fox", image_size="512", webhook_url=url, webhook_secret=secret)


async def settled(stack: Stack, job: Job, state: str, *, within_s: float = 10) -> int:
    """Wait until a webhook has come to its end; answer how often it was tried."""
    async with open_redis(stack.redis.url) as redis, asyncio.timeout(within_s):
        while (await redis.hget(f"darkroom:job:{job.id}", "webhook_state")) != state:
            await asyncio.sleep(0.05)
        assert await redis.zscore(KEY, job.id) is None
        return int(await redis.hget(f"darkroom:job:{job.id}", "webhook_tries") or 0)


def verified(heard: Heard, secret: str) -> dict[str, object]:
    """Check a delivery as a receiver would; answer its event."""
    told: dict[str, object] = standardwebhooks.Webhook(secret).verify(heard.body, heard.headers)
    return told


def of_owner(stack: Stack, owner: str) -> str:
    return signing_secret(InstallationSecret.of(stack.settings()), owner)


async def test_g21_half_of_all_answers_fail_and_every_end_is_told(stack: Stack, receiver: Receiver) -> None:
    chance = random.Random(SEED)
    receiver.answer = lambda _: random_answer(chance)
    stack.simulator.script("refuse always", match="refused")
    secrets: dict[str, str] = {}
    jobs: list[Job] = []
    for number in range(40):
        owner, own = ("ann", "bob")[number % 2], OWN if number % 4 == 0 else None
        async with stack.client(owner) as darkroom:
            job = await darkroom.submit(
                prompt="refused" if number % 5 == 0 else "a fox",
                image_size="512",
                webhook_url=receiver.url(f"/{owner}?kestrel-in-a-path"),
                webhook_secret=own,
            )
            if number % 7 == 0:
                await darkroom.cancel(job.id)
        jobs.append(job)
        secrets[f"msg_{job.id}"] = own or of_owner(stack, owner)
    for _ in range(2):
        await stack.start_worker()
    tries = [await settled(stack, job, "delivered", within_s=40) for job in jobs]

    bodies: defaultdict[str, set[bytes]] = defaultdict(set)
    for heard in receiver.heard:
        verified(heard, secrets[heard.id])
        bodies[heard.id].add(heard.body)
    assert set(bodies) == {f"msg_{job.id}" for job in jobs}
    assert {len(different) for different in bodies.values()} == {1}
    assert len(receiver.heard) == sum(tries) > 1.5 * len(jobs)
    states = set()
    for job in jobs:
        async with stack.client(job.owner) as darkroom:
            ended = await darkroom.get(job.id)
        told = json.loads(bodies[f"msg_{job.id}"].pop())
        assert (told["type"], told["data"]["id"]) == (f"job.{ended.state}", job.id)
        assert str(stack.folder) not in json.dumps(told)
        states.add(ended.state)
    assert states == TERMINAL - {JobState.EXPIRED}
    assert {heard.headers["user-agent"] for heard in receiver.heard} == {"nanobot-darkroom"}
    assert {heard.headers["content-type"] for heard in receiver.heard} == {"application/json"}
    assert not any({"cookie", "authorization"} & heard.headers.keys() for heard in receiver.heard)

    canaries = Search(text=OWN, bytes="canary-of-a-client-0123456789", key=of_owner(stack, "ann"))
    log = b"".join(path.read_bytes() for path in stack.redis.socket.parent.rglob("*") if path.is_file())
    assert b"webhook_state" in log, "this is where it must not be"
    assert canaries.hits(log) == []
    assert canaries.hits(stack.logs()) == []
    assert stack.logs().count("was delivered") == len(jobs)
    assert "kestrel-in-a-path" not in stack.logs()


def random_answer(chance: random.Random) -> bytes:
    """Answer well in half of all cases."""
    if chance.random() < 0.5:
        return chance.choice([GOOD, reply(200, b"ok"), reply(202)])
    bad = [reply(500, b"x" * 100_000), reply(404), reply(302, location=f"http://{METADATA}/"), b"", b"no HTTP\r\n\r\n"]
    return chance.choice([*bad, reply(429, retry_after="1"), reply(503)])


async def test_b82_no_redirect_is_followed(stack: Stack, receiver: Receiver) -> None:
    configure(stack, "0,0")
    answers = {
        f"/{status}": reply(status, location=f"http://{METADATA}/latest") for status in (301, 302, 303, 307, 308)
    }
    answers |= {"/public": reply(302, location=f"https://{PUBLIC}/"), "/odd": reply(302, location="http://[")}
    receiver.answer = lambda heard: answers[heard.path]
    net = Network(log=stack.folder / "net.log", routes={f"{PUBLIC}:443": receiver.port})
    await stack.start_worker(network=net)
    jobs = [await submit(stack, receiver.url(path)) for path in answers]
    assert [await settled(stack, job, "failed") for job in jobs] == [2] * len(answers)
    assert sorted(heard.path for heard in receiver.heard) == sorted([*answers] * 2)
    assert net.connected() == []


async def test_b82_who_is_gone_is_told_once(stack: Stack, receiver: Receiver) -> None:
    receiver.answer = lambda _: reply(410)
    await stack.start_worker()
    job = await submit(stack, receiver.url())
    assert await settled(stack, job, "failed") == 1
    assert len(receiver.heard) == 1


async def test_b82_who_asks_to_wait_is_left_in_peace(stack: Stack, receiver: Receiver) -> None:
    receiver.answer = lambda _: GOOD if len(receiver.heard) > 1 else reply(503, retry_after="2")
    await stack.start_worker()
    await submit(stack, receiver.url())
    first, second = await receiver.hears(2)
    assert 2 <= second.at - first.at < 4


async def test_b82_an_answer_without_end_is_read_no_further_than_its_begin(stack: Stack, receiver: Receiver) -> None:
    receiver.answer = lambda heard: b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 100_000
    await stack.start_worker()
    job = await submit(stack, receiver.url())
    assert await settled(stack, job, "delivered", within_s=5) == 1


async def test_b82_who_never_answers_delays_neither_jobs_nor_other_receivers(stack: Stack, receiver: Receiver) -> None:
    receiver.answer = lambda heard: None if heard.path == "/hole" else GOOD
    await stack.start_worker()

    async def seconds_for(count: int) -> float:
        started = time.monotonic()
        async with stack.client("bob") as darkroom:
            jobs = [await darkroom.submit(prompt="a fox", image_size="512") for _ in range(count)]
            for job in jobs:
                assert (await darkroom.wait(job.id, timeout_s=20)).state is JobState.SUCCEEDED
        return time.monotonic() - started

    await seconds_for(5)
    alone_s = min([await seconds_for(10) for _ in range(2)])
    for _ in range(20):
        await submit(stack, receiver.url("/hole"))
    await receiver.hears(4, path="/hole")
    beside_s = min([await seconds_for(10) for _ in range(2)])
    started = time.monotonic()
    await submit(stack, receiver.url("/good", host="127.0.0.2"))
    await receiver.hears(path="/good")
    print(f"10 jobs alone: {alone_s:.2f} s, beside a black hole: {beside_s:.2f} s")
    assert beside_s < 1.5 * alone_s + 0.5, "one that waits for a delivery would take 15 s"
    assert time.monotonic() - started < 3
    assert len([heard for heard in receiver.heard if heard.path == "/hole"]) == 4, "no more to one host at a time"


async def test_g21_a_delivery_whose_worker_is_killed_is_made_by_another(stack: Stack, receiver: Receiver) -> None:
    receiver.answer = lambda _: None
    worker = await stack.start_worker()
    job = await submit(stack, receiver.url(), secret=OWN)
    await receiver.hears()
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    receiver.answer = lambda _: GOOD
    async with open_redis(stack.redis.url) as redis:
        seconds, _ = await redis.time()
        assert seconds < float(await redis.zscore(KEY, job.id) or 0) / 1000 < seconds + LEASE_S + 1
        await redis.zadd(KEY, {job.id: 1000 * seconds})  # the lease is over
    await stack.start_worker()
    assert await settled(stack, job, "delivered") == 2
    first, second = receiver.heard
    assert (first.id, first.body) == (second.id, second.body)
    assert verified(first, OWN) == verified(second, OWN)


async def test_g21_an_outage_of_redis_only_pauses_it(stack: Stack, receiver: Receiver) -> None:
    configure(stack, "0" + ",1" * 18)
    receiver.answer = lambda _: reply(500)
    worker = await stack.start_worker()
    job = await submit(stack, receiver.url())
    await receiver.hears()
    stack.redis.kill()
    await stack.says("worker", "Redis is away")
    receiver.answer = lambda _: GOOD
    stack.redis.start()
    await settled(stack, job, "delivered", within_s=15)
    assert worker.poll() is None


async def test_b81_a_name_that_leads_inside_by_then_is_not_opened(stack: Stack, certificates: Certificates) -> None:
    configure(stack, "0,0.1,0.1")
    path = "/in?kestrel-in-a-path"
    inside = [[PRIVATE], [PUBLIC, PRIVATE], [METADATA], ["::1"], ["64:ff9b::a9fe:a9fe"]]
    names = {f"{number}.{HOOKS}": [[PUBLIC], addresses] for number, addresses in enumerate(inside)}
    async with Cdn(certificates.good(*names), {path: reply(500)}) as cdn:
        net = Network(log=stack.folder / "net.log", names=names, routes={f"{PUBLIC}:443": cdn.port})
        await stack.start_worker(network=net, SSL_CERT_FILE=str(certificates.file))
        jobs = [await submit(stack, f"https://{name}{path}") for name in names]  # our own process has no such names
        assert [await settled(stack, job, "failed") for job in jobs] == [3] * len(names)
    assert sorted(net.resolved()) == sorted([*names] * 3)
    assert net.connected() == [f"{PUBLIC}:443"] * len(names)
    assert sorted(str(name) for name in cdn.names) == sorted(names)
    for name in names:
        assert sum(f"\r\nhost: {name}\r\n" in head for head in cdn.asked) == 1
        assert stack.logs().count(f"security: a webhook to '{name}' is not opened") == 2
    assert "kestrel" not in stack.logs()


async def test_b82_a_receiver_without_a_good_certificate_is_told_nothing(
    stack: Stack, certificates: Certificates
) -> None:
    configure(stack, "0")
    shown = {
        "93.184.215.1": certificates.expired(HOOKS),
        "93.184.215.2": certificates.foreign(HOOKS),
        "93.184.215.3": certificates.good("other.sim.test"),
    }
    names = {HOOKS: [[address] for address in shown]}
    async with AsyncExitStack() as resources:
        cdns = [await resources.enter_async_context(Cdn(context, {"/in": GOOD})) for context in shown.values()]
        routes = {f"{address}:443": cdn.port for address, cdn in zip(shown, cdns, strict=True)}
        net = Network(log=stack.folder / "net.log", names=names, routes=routes)
        await stack.start_worker(network=net, SSL_CERT_FILE=str(certificates.file))
        for _ in shown:
            assert await settled(stack, await submit(stack, f"https://{HOOKS}/in"), "failed") == 1
    assert net.connected() == list(routes)
    assert [cdn.asked for cdn in cdns] == [[]] * 3


@pytest.mark.parametrize(
    ("url", "secret", "code"),
    [
        ("http://10.0.0.1/in", None, "webhook_url_forbidden"),
        ("https://localhost.:6379/", None, "webhook_url_forbidden"),
        ("http://127.0.0.1:9/in", "whsec_c2hvcnQ=", "webhook_secret_invalid"),
        (None, OWN, "webhook_url_forbidden"),
    ],
)
async def test_b81_b83_what_is_not_fit_is_refused_and_nothing_is_queued(
    url: str | None, secret: str | None, code: str, stack: Stack
) -> None:
    with pytest.raises(Refused) as caught:
        await submit(stack, url, secret=secret)
    assert caught.value.code == code
    async with stack.client() as darkroom:
        assert await darkroom.list() == []
