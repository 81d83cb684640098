"""Scripts may be written as text, and model names choose behaviours."""

import pytest
from simulator.catalogue.grammar import read_steps
from simulator.providers.calls import CHAT, PREDICT, chat, converse, encode, predict, predict_path
from simulator.server.server import Simulator


async def status_of(sim: Simulator, path: str, body: dict[str, object]) -> int:
    answer, _ = await converse(sim.port, encode(path, body))
    return int(answer.split(b" ")[1])


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("ok", [{"kind": "ok"}]),
        ("P06 twice then ok", [{"kind": "P06", "times": 2}, {"kind": "ok"}]),
        ("P09 twice, then ok", [{"kind": "P09", "times": 2}, {"kind": "ok"}]),
        (
            "P25.past_date once, ok always",
            [{"kind": "P25", "variant": "past_date", "times": 1}, {"kind": "ok", "times": "always"}],
        ),
        (" P28 12 times , Then  refuse 1 time ", [{"kind": "P28", "times": 12}, {"kind": "refuse", "times": 1}]),
        ("", []),
    ],
)
def test_text_becomes_steps(text: str, steps: list[dict[str, object]]) -> None:
    assert read_steps(text) == steps


@pytest.mark.parametrize("text", ["P09 thrice", "P09.", "P09 0.5 times", "twice P09", "ok; ok"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="cannot read"):
        read_steps(text)


async def test_text_script_is_played(sim: Simulator) -> None:
    sim.script("P28 twice, then P33, ok", match="fox")

    statuses = [await status_of(sim, CHAT, chat()) for _ in range(4)]

    assert statuses == [500, 500, 401, 200]
    assert [call.kind for call in sim.ledger] == ["P28.server", "P28.server", "P33.invalid_key", "ok"]


async def test_text_script_over_http(sim: Simulator) -> None:
    assert await status_of(sim, "/__sim/script", {"steps": "P42.451, then ok"}) == 200
    assert await status_of(sim, PREDICT, predict()) == 451


@pytest.mark.parametrize(
    ("model", "status"), [("sim/P29", 502), ("sim/P29.504", 504), ("sim/refuse", 403), ("sim/ok", 200)]
)
async def test_model_name_chooses_in_both_dialects(sim: Simulator, model: str, status: int) -> None:
    sim.script("P33 always")

    assert [await status_of(sim, CHAT, chat(model=model)) for _ in range(2)] == [status] * 2
    assert await status_of(sim, predict_path(model), predict()) == status


@pytest.mark.parametrize("model", ["sim/P00", "sim/P29.nope", "sim/"])
async def test_unknown_model_is_400(sim: Simulator, model: str) -> None:
    assert await status_of(sim, CHAT, chat(model=model)) == 400


async def test_step_of_the_catalogue_takes_options(sim: Simulator) -> None:
    sim.script([{"kind": "P24", "status": 503, "headers": {"Retry-After": "7"}}])

    answer, _ = await converse(sim.port, encode(CHAT, chat()))

    assert answer.startswith(b"HTTP/1.1 503")
    assert b"Retry-After: 7\r\n" in answer


async def test_early_step_waits_for_its_turn(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.server.early.LINGER_S", 0.01)
    sim.script("P28, then P39.early, then P28", match="färn")

    statuses = [await status_of(sim, CHAT, chat("a färn")) for _ in range(4)]

    assert statuses == [500, 413, 500, 200]
