"""Links lead where the catalogue says, and files are served as badly (P71 to P77)."""

import httpx
import pytest
from simulator.pictures.corpus import specimen
from simulator.providers.calls import CHAT, PREDICT, chat, converse, predict
from simulator.server.server import Simulator


async def link_of(sim: Simulator, client: httpx.AsyncClient, row: str, variant: str, **options: object) -> str:
    """Play one variant and return the link in its answer."""
    sim.script([{"kind": row, "variant": variant, "specimen": "good_png", **options}])
    answer = (await client.post(CHAT, json=chat())).json()
    return str(answer["choices"][0]["message"]["images"][0]["image_url"]["url"])


async def fetch_raw(sim: Simulator, link: str, *, seconds: float = 2, most: int = 1 << 62) -> tuple[bytes, str]:
    """Download over a raw socket and return head and body as they come, and how it ended."""
    path = link.removeprefix(sim.url)
    request = f"GET {path} HTTP/1.1\r\nHost: files\r\nConnection: close\r\n\r\n".encode()
    answer, end = await converse(sim.port, request, seconds=seconds, most=most)
    return answer, end


@pytest.mark.parametrize("path", [CHAT, PREDICT])
async def test_link_downloads_fine(sim: Simulator, client: httpx.AsyncClient, path: str) -> None:
    sim.script([{"kind": "P71", "specimen": "good_png"}])
    answer = (await client.post(path, json=chat() if path == CHAT else predict())).text

    link = answer[answer.index(f"{sim.url}/files/") :].split('"')[0]
    download = await client.get(link, headers={"Authorization": ""})

    assert download.content == specimen("good_png")
    assert (sim.visits[0].method, sim.visits[0].path) == ("GET", link.removeprefix(sim.url))


@pytest.mark.parametrize(
    ("variant", "statuses"),
    [("404", [404] * 4), ("410", [410] * 4), ("404_once", [404, 200, 200, 200]), ("503_twice", [503, 503, 200, 200])],
)
async def test_file_is_gone(sim: Simulator, client: httpx.AsyncClient, variant: str, statuses: list[int]) -> None:
    link = await link_of(sim, client, "P72", variant)

    assert [(await client.get(link)).status_code for _ in range(4)] == statuses
    assert len(sim.visits) == 4


@pytest.mark.parametrize(("variant", "hops"), [("three_hops", 3), ("six_hops", 6)])
async def test_redirects_end(sim: Simulator, client: httpx.AsyncClient, variant: str, hops: int) -> None:
    link = await link_of(sim, client, "P74", variant)

    download = await client.get(link, follow_redirects=True)

    assert len(download.history) == hops
    assert download.content == specimen("good_png")


async def test_redirects_go_round(sim: Simulator, client: httpx.AsyncClient) -> None:
    link = await link_of(sim, client, "P74", "loop")

    with pytest.raises(httpx.TooManyRedirects):
        await client.get(link, follow_redirects=True)


@pytest.mark.parametrize(
    ("variant", "location"),
    [
        ("no_location", None),
        ("to_metadata", "http://169.254.169.254/latest/meta-data/"),
        ("to_file", "file:///etc/passwd"),
    ],
)
async def test_redirects_lead_astray(
    sim: Simulator, client: httpx.AsyncClient, variant: str, location: str | None
) -> None:
    link = await link_of(sim, client, "P74", variant)

    answer = await client.get(link)

    assert (answer.status_code, answer.headers.get("location")) == (302, location)


@pytest.mark.parametrize(
    ("variant", "end", "whole"),
    [
        ("cut", "fin", False),
        ("reset", "rst", False),
        ("drip", "silence", False),
        ("hang", "silence", False),
        ("petabyte", "silence", True),
        ("endless", "enough", True),
        ("wrong_type", "fin", True),
    ],
)
async def test_download_is_broken(
    sim: Simulator, client: httpx.AsyncClient, variant: str, end: str, whole: bool
) -> None:
    link = await link_of(sim, client, "P73", variant)

    answer, ended = await fetch_raw(sim, link, seconds=0.1 if end == "silence" else 5, most=2_000_000)

    assert (ended, specimen("good_png")[-200:] in answer) == (end, whole)


async def test_reset_happens_once(sim: Simulator, client: httpx.AsyncClient) -> None:
    link = await link_of(sim, client, "P73", "reset_once")

    assert [(await fetch_raw(sim, link))[1] for _ in range(2)] == ["rst", "fin"]


async def test_links_of_the_script(sim: Simulator, client: httpx.AsyncClient) -> None:
    sim.script([{"kind": "links", "links": ["https://a.example/1.png", "gopher://x", "{url}/y"]}])

    images = (await client.post(CHAT, json=chat())).json()["choices"][0]["message"]["images"]

    assert [image["image_url"]["url"] for image in images] == ["https://a.example/1.png", "gopher://x", f"{sim.url}/y"]


async def test_unsafe_links(sim: Simulator, client: httpx.AsyncClient) -> None:
    assert await link_of(sim, client, "P75", "circled") == "https://①②⑦.0.0.1/a.png"
    assert await link_of(sim, client, "P75", "own_port") == f"{sim.url}/__sim/ledger"
    assert await link_of(sim, client, "P77", "userinfo") == "https://user:pass@example.com/a.png"
    assert len(await link_of(sim, client, "P77", "long")) > 100_000


async def test_huge_data_link(sim: Simulator, client: httpx.AsyncClient) -> None:
    link = await link_of(sim, client, "P77", "huge_data", megabytes=5)

    assert (link[:26], len(link) > 5_000_000) == ("data:image/png;base64,xxxx", True)


async def test_link_may_name_another_host(sim: Simulator, client: httpx.AsyncClient) -> None:
    link = await link_of(sim, client, "P71", "good", host="files.test")

    assert link.startswith(f"http://files.test:{sim.port}/files/")
