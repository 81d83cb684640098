"""Every row and variant of the catalogue happens in both dialects, and the simulator survives all of them."""

import asyncio

import pytest
from simulator.catalogue.table import CATALOGUE, PORTS, variants
from simulator.providers import aihubmix, openrouter
from simulator.providers.calls import CHAT, chat, converse, encode, predict, predict_path
from simulator.server.ports import PORT_NAMES
from simulator.server.server import Simulator

MADE_ELSEWHERE = {"P01", "P06", "P76"}  # by a name server or a certificate
UNUSED = {"P13", "P19", "P27", "P31", "P41", "P52", "P70", "P78", "P80"}
SLOW = {"P08", "P09", "P10", "P11", "P12", "P14"}
SLOW_VARIANTS = {
    ("P05", "reuse"),
    ("P05", "reuse_after_success"),
    ("P21", "interim_endless"),
    ("P21", "no_continue"),
    ("P55", "dripped_comments"),
    ("P55", "dripped_blanks"),
    ("P55", "dripped_events"),
    ("P55", "blanks_for_ever"),
    ("P82", "hang"),
}
GLANCE_S = 0.1
MOST_BYTES = 200_000


def test_every_row_has_a_producer() -> None:
    rows = {f"P{number:02}" for number in range(1, 86)} - UNUSED - MADE_ELSEWHERE

    assert rows == set(CATALOGUE) | set(PORTS)


def test_ports_are_all_in_the_table() -> None:
    assert sorted(PORT_NAMES) == sorted(name for names in PORTS.values() for name in names)


def test_dialects_know_the_same_names() -> None:
    assert openrouter.SHAPES.keys() == aihubmix.SHAPES.keys()
    assert openrouter.FAILURES.keys() == aihubmix.FAILURES.keys()


def in_either(provider: str, row: str, variant: str) -> bytes:
    prompt = f"{row} {variant} end"
    if provider == "openrouter":
        return encode(CHAT, chat(prompt, image_size="64x64"))
    return encode(predict_path("openai/gpt-image-1"), predict(prompt, size="64x64"))


async def try_variant(sim: Simulator, provider: str, row: str, variant: str) -> str:
    """Play a variant, with a small picture unless it has its own, and say how it ended."""
    slow = row in SLOW or (row, variant) in SLOW_VARIANTS
    data = in_either(provider, row, variant)
    _, end = await converse(sim.port, data, seconds=GLANCE_S if slow else 10, most=MOST_BYTES)
    return "" if (end == "silence") == slow else f"{row}.{variant} at {provider}: {end}"


@pytest.mark.parametrize("provider", ["openrouter", "aihubmix"])
async def test_every_variant_happens(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.server.early.LINGER_S", 0.1)
    gate = asyncio.Semaphore(16)
    async with Simulator(seconds=0) as sim:

        async def play(row: str, variant: str) -> str:
            usual = {} if "specimen" in CATALOGUE[row][variant].options else {"specimen": "good_jpeg"}
            sim.script([{"kind": row, "variant": variant, **usual}], match=f"{row} {variant} end")
            async with gate:
                return await try_variant(sim, provider, row, variant)

        odd = await asyncio.gather(*(play(row, variant) for row, variant in variants()))

        assert [each for each in odd if each] == []
        assert sim.errors == []
        assert {call.kind for call in sim.ledger} == {f"{row}.{variant}" for row, variant in variants()}
    assert asyncio.all_tasks() == {asyncio.current_task()}
