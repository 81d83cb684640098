"""What callers do with each script, told so that its answers can be lost: a scenario for each, of what may go wrong.

A scenario sets the scene without loss, asks as the product asks, with the product's own repeats, and answers what the
caller came to know.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from redis.asyncio import Redis

from contract.errors.exceptions import Unavailable
from contract.jobs.job import JobState, Outcome, ReferenceSnapshot
from contract.store.job_writer import new_name
from contract.store.keys import digest, owner_key
from contract.store.lease import Lease
from contract.store.new_job import ChatDelivery, NewJob
from contract.webhook import Webhook
from producer.api.services.presence import Presence
from producer.api.services.streams import Streams
from producer.api.sessions.records import SessionRecords
from producer.chat.late_delivery import insist as insist_of_chat
from tests.support.factories.jobs import attempt, image, new_job
from tests.support.store.world import World, insist
from worker.execution.attempt_log import persist
from worker.policy.circuit_breaker import Blocked, CallOutcome
from worker.webhooks.outbox import WebhookState

Scenario = Callable[[World], Awaitable[object]]
LETTER = ChatDelivery(outbox="box", route="{}", hold_s=0)
HOOK = Webhook(url="https://one.example/in", host="one.example").model_dump_json()


def a_job(number: int = 0, **changes: Any) -> NewJob:
    """Make a job that has the same id each time."""
    return new_job(id=f"job-{number}", **changes)


async def run(world: World, number: int = 0, **changes: Any) -> Lease:
    """Hand a job in and claim it, without loss."""
    job_id, _ = await world.calm.submit(a_job(number, **changes))
    lease = await world.calm.claim(job_id, worker="w1", lease_s=15)
    assert lease is not None
    return lease


async def submit(world: World) -> object:
    """A user repeats with the same idempotency key, whatever the product repeats by itself."""
    new = a_job(idempotency_key="key", chat_delivery=LETTER, webhook=HOOK, budget_usd=9, price_usd=1)
    job_id, _ = await insist(lambda: world.store.submit(new))
    return job_id


async def submit_the_last_one(world: World) -> object:
    """The last job that there is room for."""
    new = a_job(max_active=1, max_queued=1, budget_usd=2, price_usd=1)
    return await insist(lambda: world.store.submit(new))


async def claim(world: World) -> object:
    """The claim of an owner's first job makes room for one that is parked."""
    for number in range(11):
        await world.calm.submit(a_job(number))
    name = new_name()
    lease = await persist(world.store.claim, "job-0", worker="w1", lease_s=15, claim=name)
    assert lease is not None
    again = await world.calm.claim("job-0", worker="w1", lease_s=15)
    return lease.fence, lease.deadline_ms, lease.fields["state"], again


async def cancel(world: World) -> object:
    lease = await run(world, chat_delivery=LETTER, webhook=HOOK)
    name = new_name()
    return await insist(lambda: world.store.cancel(lease.job_id, owner="ann", call=name))


async def delete(world: World) -> object:
    lease = await run(world)
    await world.calm.add_image(lease, image(lease.job_id, 0))
    job = await insist(lambda: world.store.delete(lease.job_id, owner="ann"))
    await world.calm.end_deletion(job.id)
    return job


async def delete_without_images(world: World) -> object:
    lease = await run(world)
    job = await insist(lambda: world.store.delete(lease.job_id, owner="ann"))
    await world.calm.end_deletion(job.id)
    return job


async def renew(world: World) -> object:
    mine, lost = await run(world), await run(world, 1)
    await world.calm.cancel(lost.job_id)
    return await insist(lambda: world.store.renew("w1", [mine, lost], lease_s=30))


async def begin_attempt(world: World) -> object:
    """The last call that the image may have."""
    lease = await run(world)
    return await persist(world.store.begin_attempt, lease, 0, attempt(), max_calls=1)


async def end_attempt(world: World) -> object:
    """Two images' calls end at the same time, and a call tells the same twice."""
    lease = await run(world, budget_usd=9, price_usd=1)
    for number in (0, 1):
        await world.calm.begin_attempt(lease, number, attempt(index=number), max_calls=2)
        ended = attempt(Outcome.DELIVERED, 7.0, index=number)
        for _ in range(2):
            write = world.store.end_attempt
            await persist(write, lease, number, ended, event="retry", text="again", writing=new_name())
    return None


async def add_image(world: World) -> object:
    lease = await run(world)
    return await persist(world.store.add_image, lease, image(lease.job_id, 0))


async def end(world: World) -> object:
    """The end of an owner's first job makes room for one that is parked."""
    lease = await run(world, webhook=HOOK, kind="1k")
    for number in range(1, 12):
        await world.calm.submit(a_job(number))
    await world.calm.add_image(lease, image(lease.job_id, 0))
    return await persist(world.store.end, lease, JobState.FAILED, writing=new_name())


async def release(world: World) -> object:
    lease = await run(world)
    return await persist(world.store.release, lease, wait_s=0, note="stopped", writing=new_name())


async def release_to_wait(world: World) -> object:
    lease = await run(world)
    return await persist(world.store.release, lease, wait_s=20, note="waits", at_breaker=True, writing=new_name())


async def ring(world: World) -> object:
    """Nobody repeats that: the sweeper looks for bells that were lost."""
    await world.calm.submit(a_job())
    with suppress(Unavailable):
        await world.store.ring(["job-0"])
    return None


async def sweep(world: World) -> object:
    """A lease ends; a damaged job does; and one that stands far behind has become ready without a bell."""
    dead = await run(world, webhook=HOOK)
    await world.calm.submit(a_job(1))
    await world.calm_redis.hset("darkroom:job:job-1", "owner_digest", "?")
    for number in range(2, 120):
        await world.calm.submit(a_job(number, owner=f"owner {number}"))
    await world.calm_redis.hset("darkroom:job:job-99", mapping={"bell_at": 0, "bells": 0})
    await world.calm_redis.sadd("darkroom:unrung", "job-99")
    await world.calm_redis.zadd("darkroom:queued", {"job-99": 1e17})
    await world.calm_redis.zadd("darkroom:running", {dead.job_id: 1})
    await world.calm_redis.zadd("darkroom:deadlines", {"job-1": 1})
    await insist(lambda: world.store.sweep("w1", patience_s=0, lock_s=60, bell_s=60))
    return await world.calm_redis.zscore(owner_key("ann", "active"), "job-1")


async def add_upload(world: World) -> object:
    """The last upload that there is room for."""
    snapshot = ReferenceSnapshot(source="a", path="/media/a", sha256="0" * 64, mime="image/png", bytes=8)
    return await insist(lambda: world.store.add_upload("ann", snapshot, most=1))


async def check(world: World) -> object:
    return await insist(world.store.check)


async def enter(world: World) -> object:
    """A call comes through, and another job has to wait for it."""
    leases = [await run(world, number) for number in range(2)]
    breaker = world.breaker()
    answers = [await persist(breaker.enter, lease, 5, most_s=60) for lease in leases]
    return [answer.code if isinstance(answer, Blocked) else None for answer in answers]


async def leave(world: World) -> object:
    """The failure of a call that others have met, too; it lets a job go on that has waited for the place."""
    waiting, mine, other = [await run(world, number, owner=f"owner {number}") for number in range(3)]
    calm, breaker = world.breaker(calm=True), world.breaker()
    assert await calm.enter(other, 1, most_s=60) is None
    await calm.leave(other, 1, CallOutcome.BAD, code="provider_down")
    assert await persist(breaker.enter, mine, 2, most_s=60) is None
    assert await calm.enter(waiting, 3, most_s=60) is not None
    await world.calm.release(waiting, wait_s=20, at_breaker=True)
    falters = await persist(breaker.leave, mine, 2, CallOutcome.BAD, code="provider_down")
    assert falters
    return falters


async def take_letter(world: World) -> object:
    """Nothing is late: the letter is the taker's, and it was its first try."""
    job_id, _ = await world.calm.submit(a_job(chat_delivery=LETTER))
    await world.calm.cancel(job_id)
    name = new_name()
    return await insist_of_chat(lambda: world.chat_outbox.take(job_id, name))


async def put_letter_back(world: World) -> object:
    """The second try of a letter that its channel does not take."""
    job_id, _ = await world.calm.submit(a_job(chat_delivery=LETTER))
    await world.calm.cancel(job_id)
    box, name = world.chat_outbox, new_name()
    assert await insist_of_chat(lambda: box.take(job_id, name))
    await insist_of_chat(lambda: box.put_back(job_id, name, wait_s=60))
    return await world.calm_redis.hget(f"darkroom:job:{job_id}", "letter_tries")


async def close_letter(world: World) -> object:
    job_id, _ = await world.calm.submit(a_job(chat_delivery=LETTER))
    await world.calm.cancel(job_id)
    return await insist_of_chat(lambda: world.chat_outbox.close(job_id, session="chat", note="said"))


async def make_room(world: World) -> object:
    """Redis is full of ended jobs: all that can be forgotten is, and a repeat finds nothing more."""
    for number in range(3):
        await world.calm.submit(a_job(number, idempotency_key=f"key-{number}"))
        await world.calm.cancel(f"job-{number}")
    await world.calm_redis.config_set("maxmemory", (await world.calm_redis.info("memory"))["used_memory"])
    await insist(lambda: world.store._run("upkeep/make_room"))
    await world.calm_redis.config_set("maxmemory", 0)
    return None


async def take_webhooks(world: World) -> object:
    """A dispatcher that has no answer looks again, and there is more to take by then."""
    for number in range(3):
        await world.calm.submit(a_job(number, webhook=HOOK))
        await world.calm.cancel(f"job-{number}")
    outbox = world.webhook_outbox
    taken, _ = await insist(lambda: outbox.take(2, busy={}, most_to_host=4, most_of_owner=9))
    later, _ = await outbox.take(9, busy={}, most_to_host=4, most_of_owner=9)
    return [(each.job_id, each.number, each.host, each.fields["state"]) for each in (*taken, *later)]


async def settle_webhook(world: World) -> object:
    for number, state in enumerate(WebhookState):
        await world.calm.submit(a_job(number, webhook=HOOK))
        await world.calm.cancel(f"job-{number}")
        outbox = world.webhook_outbox
        [delivery], _ = await outbox.take(1, busy={}, most_to_host=4, most_of_owner=9)
        await persist(outbox.settle, delivery, state, wait_s=60)
    return None


def presence(redis: Redis) -> Presence:
    """What one gateway notes."""
    noting = Presence(redis, patience_s=0)
    noting._gateway = "one"
    return noting


async def note_presence(world: World) -> object:
    await world.calm.submit(a_job())
    return await insist(lambda: presence(world.store.redis).note({"job-0": 30}))


async def leave_presence(world: World) -> object:
    """The last client has gone; that this is why the job has ended is told in the log alone."""
    await world.calm.submit(a_job(webhook=HOOK))
    await presence(world.calm_redis).note({"job-0": 30})
    await insist(lambda: presence(world.store.redis).leave("job-0"))
    return None


async def sweep_presence(world: World) -> object:
    """The gateway has gone at which a client waited; that this is why the job has ended is told in the log alone."""
    await world.calm.submit(a_job(webhook=HOOK))
    await presence(world.calm_redis).note({"job-0": 0})
    await insist(presence(world.store.redis).sweep)
    return None


async def open_session(world: World) -> object:
    """The session that was used the longest ago gives way for one, and no other one does."""
    calm, records = (SessionRecords(redis, most_of_owner=3) for redis in (world.calm_redis, world.store.redis))
    calm._gateway = records._gateway = "one"
    idle: dict[str, float] = {}
    for name in ("first", "second", "third"):
        await calm.tell("ann", idle, opened=name)
        idle[name] = 10.0
    return await insist(lambda: records.tell("ann", idle, opened="fourth"))


async def hold_stream(world: World) -> object:
    """The last stream that an owner may have."""
    streams = Streams(world.store.redis, most=1)
    refused = await insist(lambda: streams._run("streams/hold", 45_000, 1, digest("ann"), "one:1"))
    return list(refused)


SCENARIOS: Mapping[str, tuple[Scenario, ...]] = {
    "breaker/enter": (enter,),
    "breaker/leave": (leave,),
    "chat_outbox/close": (close_letter,),
    "chat_outbox/put_back": (put_letter_back,),
    "chat_outbox/take": (take_letter,),
    "jobs/add_image": (add_image,),
    "jobs/begin_attempt": (begin_attempt,),
    "jobs/cancel": (cancel,),
    "jobs/claim": (claim,),
    "jobs/delete": (delete, delete_without_images),
    "jobs/end": (end,),
    "jobs/end_attempt": (end_attempt,),
    "jobs/release": (release, release_to_wait),
    "jobs/renew": (renew,),
    "jobs/submit": (submit, submit_the_last_one),
    "mcp/sessions": (open_session,),
    "presence/leave": (leave_presence,),
    "presence/note": (note_presence,),
    "presence/sweep": (sweep_presence,),
    "streams/hold": (hold_stream,),
    "upkeep/add_upload": (add_upload,),
    "upkeep/check_redis": (check,),
    "upkeep/make_room": (make_room,),
    "upkeep/ring_doorbell": (ring,),
    "upkeep/sweep": (sweep,),
    "webhook_outbox/settle": (settle_webhook,),
    "webhook_outbox/take": (take_webhooks,),
}
