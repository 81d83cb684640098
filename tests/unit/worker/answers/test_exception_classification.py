"""From what httpx raises to what may be done next; most of it raised by real connections to a loopback server."""

import asyncio
import socket
import ssl
import struct

import httpx
import pytest

from tests.support.network.certificates import Certificates
from tests.support.network.loopback import loopback_server
from worker.answers.errors import ProviderError
from worker.answers.exception_classification import AT_ONCE_S, of_exception

OK = b"HTTP/1.1 200 OK\r\n"
CONTEXT = ssl.create_default_context()
NOWHERE = ("transient", "provider_unreachable")
CUT = ("interrupted", "provider_interrupted")
NOISE = ("interrupted", "provider_bad_answer")
LATE = ("timeout", "provider_timeout")
BASE = ("unusable", "bad_api_base")


def told(error: ProviderError) -> tuple[str, str]:
    return error.outcome, error.code


async def ask(url: str, context: ssl.SSLContext) -> tuple[Exception, bool]:
    """Call, and answer what was raised, and whether a status line had come."""
    has_answered = False
    async with httpx.AsyncClient(verify=context, trust_env=False, timeout=5) as client:
        try:
            async with client.stream("POST", url, content=b"{}") as response:
                has_answered = True
                await response.aread()
        except (httpx.HTTPError, UnicodeError) as error:
            return error, has_answered
    pytest.fail("nothing was raised")


async def serve(
    said: bytes, *, resets: bool = False, tls: ssl.SSLContext | None = None, client: ssl.SSLContext | None = None
) -> tuple[Exception, bool]:
    """Call a server that says this to whatever it is asked, and then hangs up."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(said)
        if resets:
            await asyncio.sleep(0.02)  # what was said has to arrive
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        else:
            await reader.read(65536)
        writer.close()

    async with loopback_server(talk, tls=tls) as port:
        scheme = "https" if client else "http"
        return await ask(f"{scheme}://127.0.0.1:{port}/", client or CONTEXT)


HUNG_UP = {"P04-closes": (b"", False), "P04-resets": (b"", True), "P04-resets-in-the-status": (b"HTTP/1.", True)}


@pytest.mark.parametrize(("said", "resets"), HUNG_UP.values(), ids=HUNG_UP)
@pytest.mark.parametrize(
    ("after_s", "expected"), [(0, NOWHERE), (AT_ONCE_S - 0.1, NOWHERE), (AT_ONCE_S, CUT), (60, CUT)]
)
async def test_who_hangs_up_at_once_has_made_nothing_and_later_may_have(
    said: bytes, resets: bool, after_s: float, expected: tuple[str, str]
) -> None:
    raised, has_answered = await serve(said, resets=resets)
    assert not has_answered
    assert told(of_exception(raised, after_s=after_s)) == expected


CUT_OFF = {
    "P15-reset": (OK + b"Content-Length: 9\r\n\r\nabc", True),
    "P16-short": (OK + b"Content-Length: 9\r\n\r\nabc", False),
    "P17-no-last-chunk": (OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", False),
    "P17-bad-size": (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n", False),
    "P18-trailer": (OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nno trailer\r\n\r\n", False),
}


@pytest.mark.parametrize(("said", "resets"), CUT_OFF.values(), ids=CUT_OFF)
async def test_an_answer_that_had_begun_was_cut_off_however_early(said: bytes, resets: bool) -> None:
    raised, has_answered = await serve(said, resets=resets)
    assert has_answered
    assert told(of_exception(raised, has_answered=True, after_s=0)) == CUT


GARBAGE = {
    "P21-status-line": b"\x00\x01\x02 garbage\r\n\r\n",
    "P21-other-protocol": b"220 smtp.example ESMTP\r\n\r\n",
    "P21-two-lengths": OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "P22-nul": OK + b"X: a\0b\r\n\r\n",
    "P22-cr": OK + b"X: a\rb\r\n\r\n",
    "P22-header-of-200-kb": OK + b"X: " + b"a" * 200_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("said", GARBAGE.values(), ids=GARBAGE)
@pytest.mark.parametrize("after_s", [0, 60])
async def test_what_is_no_http_is_an_unreadable_answer(said: bytes, after_s: float) -> None:
    raised, has_answered = await serve(said)
    assert not has_answered
    assert told(of_exception(raised, after_s=after_s)) == NOISE


async def test_p02_a_closed_port_is_not_reached() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        raised, _ = await ask(f"http://127.0.0.1:{unused.getsockname()[1]}/", CONTEXT)
    assert told(of_exception(raised)) == NOWHERE


@pytest.mark.parametrize("location", [b"ht\x7ftp://x", b"https://xn--/"], ids=["control", "idna"])
async def test_p40_a_redirect_to_what_is_no_address_is_a_redirect(location: bytes) -> None:
    raised, has_answered = await serve(b"HTTP/1.1 307 Go\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n")
    assert told(of_exception(raised, has_answered=has_answered)) == BASE


async def test_p07_plain_http_on_the_tls_port_is_not_reached(certificates: Certificates) -> None:
    raised, _ = await serve(b"HTTP/1.1 400 Bad\r\n\r\n", client=certificates.client())
    assert told(of_exception(raised)) == NOWHERE


@pytest.mark.parametrize("kind", ["expired", "foreign", "wrong-host", "self-signed"])
async def test_p06_a_certificate_that_proves_nothing_is_never_accepted(kind: str, certificates: Certificates) -> None:
    servers = {
        "expired": lambda: certificates.expired("127.0.0.1"),
        "foreign": lambda: certificates.foreign("127.0.0.1"),
        "wrong-host": lambda: certificates.good("other.example"),
        "self-signed": certificates.self_signed,
    }
    raised, _ = await serve(b"", tls=servers[kind](), client=certificates.client())
    assert told(of_exception(raised)) == ("unusable", "provider_tls_failed")


def resolving() -> httpx.ConnectError:
    failure = httpx.ConnectError("[Errno -2] Name or service not known")
    failure.__cause__ = socket.gaierror(-2, "Name or service not known")
    return failure


EXCEPTIONS: list[tuple[str, Exception, tuple[str, str]]] = [
    ("P01", resolving(), NOWHERE),
    ("P03", httpx.ConnectTimeout("x"), NOWHERE),
    ("P03-pool", httpx.PoolTimeout("x"), NOWHERE),
    ("P03-proxy", httpx.ProxyError("x"), NOWHERE),
    ("P06", httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] x"), ("unusable", "provider_tls_failed")),
    ("P07", httpx.ConnectError("[SSL: WRONG_VERSION_NUMBER] x"), NOWHERE),
    ("P09", TimeoutError(), LATE),
    ("P12", httpx.ReadTimeout("x"), LATE),
    ("P14", httpx.WriteTimeout("x"), ("transient", "provider_timeout")),
    ("P22-ours", httpx.LocalProtocolError("x"), NOISE),
    ("P40-scheme", httpx.UnsupportedProtocol("x"), BASE),
    ("P40-url", httpx.InvalidURL("x"), BASE),
    ("P40-name", UnicodeError("label empty or too long"), BASE),
    ("P04-read", httpx.ReadError("x"), NOWHERE),
    ("P04-write", httpx.WriteError("x"), NOWHERE),
    ("P04-system", OSError(5, "x"), NOWHERE),
]


@pytest.mark.parametrize(("raised", "expected"), [row[1:] for row in EXCEPTIONS], ids=[row[0] for row in EXCEPTIONS])
def test_every_exception_has_its_branch(raised: Exception, expected: tuple[str, str]) -> None:
    assert told(of_exception(raised)) == expected


SLOW = [httpx.ReadTimeout("x"), TimeoutError()]
BROKEN = [httpx.ReadError("x"), httpx.RemoteProtocolError("x"), httpx.DecodingError("x"), OSError(5, "x")]


@pytest.mark.parametrize(
    ("raised", "expected"), [*((one, LATE) for one in SLOW), *((one, CUT) for one in BROKEN)], ids=repr
)
@pytest.mark.parametrize("after_s", [0, 60])
def test_after_a_status_line_a_call_may_have_been_billed(
    raised: Exception, expected: tuple[str, str], after_s: float
) -> None:
    assert told(of_exception(raised, has_answered=True, after_s=after_s)) == expected


def test_no_exception_of_httpx_is_without_a_branch() -> None:
    kinds = {kind for kind in vars(httpx).values() if isinstance(kind, type) and issubclass(kind, httpx.HTTPError)}
    assert len(kinds) > 15
    for kind in kinds - {httpx.HTTPStatusError}:
        for has_answered in (False, True):
            assert of_exception(kind("x"), has_answered=has_answered).detail
