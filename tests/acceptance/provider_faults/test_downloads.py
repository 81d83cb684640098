"""Links in answers, through a real worker process in a network of the test: what it opens, and what it does not."""

from __future__ import annotations

import io
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from PIL import Image

from contract.jobs.job import Job, JobState
from tests.support.network.certificates import Certificates
from tests.support.network.fake_network import Network
from tests.support.network.image_host import Cdn, reply
from tests.support.stack.stack import Stack

pytestmark = pytest.mark.real_redis

PUBLIC = "93.184.215.14"
CDN, PATH = "cdn.sim.test", "/x.png?sig=canary-signature"
URL = f"https://{CDN}{PATH}"
METADATA = "169.254.169.254"


def picture() -> bytes:
    data = io.BytesIO()
    Image.effect_noise((256, 256), 40).convert("RGB").save(data, "PNG")
    return data.getvalue()


PICTURE = picture()


@asynccontextmanager
async def cdn_of(
    stack: Stack,
    certificates: Certificates,
    answer: bytes,
    *,
    shown: ssl.SSLContext | None = None,
    addresses: Sequence[Sequence[str]] = ([PUBLIC],),
) -> AsyncIterator[tuple[Cdn, Network]]:
    """Put a host of pictures on the Internet, and start a worker there."""
    async with Cdn(shown or certificates.good(CDN), {PATH: answer}) as cdn:
        net = Network(log=stack.folder / "net.log", names={CDN: addresses}, routes={f"{PUBLIC}:443": cdn.port})
        await stack.start_worker(network=net, SSL_CERT_FILE=str(certificates.file))
        yield cdn, net


async def make(stack: Stack, link: str) -> Job:
    """Run a job to whose calls the provider answers with a link."""
    stack.simulator.script([{"kind": "links", "links": [link]}] * 4)
    async with stack.client() as darkroom:
        return await darkroom.wait((await darkroom.submit(prompt="x")).id, timeout_s=20)


def assert_refused(job: Job, stack: Stack) -> None:
    """Check that the only call ended with a link that was not opened, and that the log says so without showing it."""
    assert (job.state, [attempt.error for attempt in job.attempts]) == (JobState.FAILED, ["unsafe_url"])
    assert stack.logs().count("security: a link to") == 1
    assert "canary" not in stack.logs()


async def test_p71_a_linked_picture_is_delivered_and_no_key_goes_with_the_download(
    stack: Stack, certificates: Certificates
) -> None:
    moods = {"set_cookie": "canary-cookie=1; Path=/; Domain=sim.test"}
    async with cdn_of(stack, certificates, reply(200, PICTURE, **moods)) as (cdn, net):
        jobs = [await make(stack, URL), await make(stack, URL)]
    for job in jobs:
        assert job.state is JobState.SUCCEEDED
        assert Path(job.images[0].path).stat().st_size > 1000
    assert net.resolved() == [CDN, CDN]
    assert net.connected() == [f"{PUBLIC}:443"] * 2
    assert cdn.names == [CDN, CDN]
    for head in cdn.asked:
        assert f"\r\nhost: {CDN}\r\n" in head
        assert not any(word in head for word in ("authorization", "cookie", "canary-key", "referer"))
    assert "canary" not in stack.logs()


async def test_p76_a_name_that_changes_its_address_is_resolved_once_and_delivers(
    stack: Stack, certificates: Certificates
) -> None:
    addresses = [[PUBLIC], ["127.0.0.1"]]
    async with cdn_of(stack, certificates, reply(200, PICTURE), addresses=addresses) as (_, net):
        job = await make(stack, URL)
    assert job.state is JobState.SUCCEEDED
    assert (net.resolved(), net.connected()) == ([CDN], [f"{PUBLIC}:443"])
    assert not net.attempted(443)


@pytest.mark.parametrize("addresses", [[PUBLIC, "fd00::1"], ["10.0.0.1", PUBLIC], [METADATA]])
async def test_p76_a_name_with_a_private_address_is_not_connected(
    addresses: list[str], stack: Stack, certificates: Certificates
) -> None:
    async with cdn_of(stack, certificates, reply(200, PICTURE), addresses=[addresses]) as (cdn, net):
        job = await make(stack, URL)
    assert_refused(job, stack)
    assert (net.resolved(), net.connected(), cdn.names) == ([CDN], [], [])


@pytest.mark.parametrize("host", [METADATA, "[::ffff:169.254.169.254]", "2852039166", "0xa9.0xfe.0xa9.0xfe"])
async def test_p75_the_metadata_service_is_not_connected(host: str, stack: Stack, certificates: Certificates) -> None:
    async with cdn_of(stack, certificates, b"") as (_, net):
        job = await make(stack, f"https://{host}/canary/latest/meta-data")
    assert_refused(job, stack)
    assert (net.resolved(), net.connected()) == ([], [])


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_p74_a_redirect_into_the_house_is_not_followed(
    scheme: str, stack: Stack, certificates: Certificates
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as redis:  # where a Redis would listen
        port = redis.getsockname()[1]
        there = reply(302, location=f"{scheme}://127.0.0.1:{port}/canary")
        async with cdn_of(stack, certificates, there) as (cdn, net):
            job = await make(stack, URL)
    assert_refused(job, stack)
    assert cdn.paths() == [PATH]
    assert net.connected() == [f"{PUBLIC}:443"]
    assert not net.attempted(port)


async def test_p74_a_redirect_to_our_own_provider_is_not_followed(stack: Stack, certificates: Certificates) -> None:
    there = reply(302, location=f"{stack.simulator.url}/files/canary")
    async with cdn_of(stack, certificates, there) as (cdn, _):
        job = await make(stack, URL)
    assert_refused(job, stack)
    assert (len(cdn.asked), len(stack.simulator.visits)) == (1, 0)


@pytest.mark.parametrize("kind", ["wrong host", "expired", "foreign", "self-signed"])
async def test_p06_a_host_with_a_bad_certificate_gets_no_request(
    kind: str, stack: Stack, certificates: Certificates
) -> None:
    shown = {
        "wrong host": certificates.good("other.sim.test", PUBLIC),
        "expired": certificates.expired(CDN),
        "foreign": certificates.foreign(CDN),
        "self-signed": certificates.self_signed(),
    }[kind]
    async with cdn_of(stack, certificates, reply(200, PICTURE), shown=shown) as (cdn, _):
        job = await make(stack, URL)
    assert (job.state, [attempt.error for attempt in job.attempts]) == (JobState.FAILED, ["unsafe_url"])
    assert (cdn.names, cdn.asked) == ([CDN], [])
