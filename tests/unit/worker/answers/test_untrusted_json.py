"""What an answer's JSON says of its cost, and which of its pictures are interim."""

from __future__ import annotations

import pytest

from contract.jobs.pricing import MOST_USD
from worker.answers.untrusted_json import Json, is_draft, told_cost

ABSURD = 999_999_999


def usage(cost: Json = None, upstream: Json = None, **more: Json) -> dict[str, Json]:
    return {"usage": {"cost": cost, "cost_details": {"upstream_inference_cost": upstream}, **more}}


@pytest.mark.parametrize(
    ("answer", "usd"),
    [
        *(({}, None), ({"usage": None}, None), ({"usage": []}, None), ({"usage": {"cost_details": 7}}, None)),
        *((usage(0.04), 0.04), (usage(0), 0.0), (usage(MOST_USD), MOST_USD), (usage(MOST_USD + 0.01), None)),
        *((usage(ABSURD), None), (usage(-1), None), (usage("0.04"), None), (usage(True), None), (usage(10**30), None)),
        (usage(0.04, 0.03), 0.04),  # that is what it has cost the gateway
        (usage(0.04, 0.03, is_byok=False), 0.04),
        (usage(0, 0.03, is_byok=False), 0.0),
        (usage(0.01, 0.2, is_byok=True), 0.21),
        (usage(0, 0.2, is_byok=True), 0.2),
        (usage(None, 0.2, is_byok=True), 0.2),
        (usage(0, 0.2), 0.2),
        (usage(None, 0.2), 0.2),
        (usage(0.01, None, is_byok=True), 0.01),
        (usage(0.01, ABSURD, is_byok=True), 0.01),
        (usage(ABSURD, 0.2, is_byok=True), 0.2),
        (usage(ABSURD, ABSURD, is_byok=True), None),
    ],
)
def test_what_a_call_has_cost(answer: dict[str, Json], usd: float | None) -> None:
    assert told_cost(answer) == (usd if usd is None else pytest.approx(usd))


@pytest.mark.parametrize(
    ("picture", "is_interim"),
    [
        *(({"thought": True}, True), ({"draft": True}, True), ({"partial": True}, True)),
        *(({"partial_image_index": 0}, True), ({"type": "image_generation.partial_image"}, True)),
        *(({}, False), ({"thought": False}, False), ({"thought": "true"}, False), ({"thought": "of a fox"}, False)),
        *(({"type": "image_url"}, False), ({"type": 7}, False), ({"type": "image_generation.completed"}, False)),
    ],
)
def test_which_pictures_are_interim(picture: dict[str, Json], is_interim: bool) -> None:
    assert is_draft(picture) is is_interim
