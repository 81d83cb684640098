"""Pictures inside good answers are spelled, labelled and counted as the catalogue says (P57 to P69)."""

import base64
import binascii
import io
import json
import re
import urllib.parse

import pytest
from PIL import Image
from simulator.catalogue.table import CATALOGUE
from simulator.pictures.corpus import ROWS, specimen
from simulator.providers.calls import CHAT, PREDICT, chat, converse, encode, predict
from simulator.providers.openrouter_shapes import PLACES
from simulator.server.server import Simulator

ALL_SPELLINGS = [name for name in CATALOGUE["P57"] if name not in PLACES]
# percent_bytes is no base64 at all
SPELLINGS = [name for name in ALL_SPELLINGS if name != "percent_bytes"]


async def links_of(sim: Simulator, row: str, variant: str, **options: object) -> list[str]:
    """Play one variant at OpenRouter and return its images' addresses."""
    sim.script([{"kind": row, "variant": variant, **options}])
    answer, _ = await converse(sim.port, encode(CHAT, chat(image_size="64x64")), seconds=5)
    message = json.loads(answer.partition(b"\r\n\r\n")[2])["choices"][0]["message"]
    return [image["image_url"]["url"] for image in message["images"]]


async def texts_of(sim: Simulator, row: str, variant: str, **options: object) -> list[str]:
    """Play one variant at AIHubMix and return its pictures' texts."""
    sim.script([{"kind": row, "variant": variant, **options}])
    answer, _ = await converse(sim.port, encode(PREDICT, predict(size="64x64")), seconds=5)
    return [each["bytesBase64"] for each in json.loads(answer.partition(b"\r\n\r\n")[2])["output"]["b64_json"]]


def repair(url: str) -> bytes:
    """Decode what a tolerant reader may decode."""
    text = re.sub(r"^\s*data:.*?base64\s*,", "", url, flags=re.IGNORECASE)
    text = re.sub(r"\s", "", urllib.parse.unquote(text)).replace("-", "+").replace("_", "/").rstrip("=")
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


@pytest.mark.parametrize("variant", SPELLINGS)
async def test_spellings_can_be_repaired(sim: Simulator, variant: str) -> None:
    [link] = await links_of(sim, "P57", variant, specimen="good_jpeg")
    [text] = await texts_of(sim, "P57", variant, specimen="good_jpeg")

    usual = base64.b64encode(specimen("good_jpeg")).decode()
    assert link != f"data:image/png;base64,{usual}"
    assert repair(link) == repair(text) == specimen("good_jpeg")


async def test_spellings_are_told_apart(sim: Simulator) -> None:
    links = [(await links_of(sim, "P57", variant, specimen="good_jpeg"))[0] for variant in ALL_SPELLINGS]

    assert len(set(links)) == len(links)
    assert urllib.parse.unquote_to_bytes(links[ALL_SPELLINGS.index("percent_bytes")][15:]) == specimen("good_jpeg")


@pytest.mark.parametrize("variant", PLACES)
async def test_a_picture_stands_in_places_of_other_gateways(sim: Simulator, variant: str) -> None:
    sim.script([{"kind": "P57", "variant": variant, "specimen": "good_jpeg"}])
    answer, _ = await converse(sim.port, encode(CHAT, chat(image_size="64x64")), seconds=5)

    body = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert "image_url" not in str(body.get("choices", [{}])[0].get("message", {}).get("images"))
    assert base64.b64encode(specimen("good_jpeg"))[:60].decode() in json.dumps(body)


@pytest.mark.parametrize("variant", ["not_base64", "one_over", "unicode", "nul", "punctuation", "padded_inside"])
async def test_text_is_beyond_repair(sim: Simulator, variant: str) -> None:
    [link] = await links_of(sim, "P58", variant, specimen="good_jpeg")

    with pytest.raises((binascii.Error, ValueError)):
        repair(link)


async def test_text_holds_nothing(sim: Simulator) -> None:
    assert [repair((await links_of(sim, "P58", name))[0]) for name in ("nothing", "empty", "one_byte")] == [
        b"",
        b"",
        b"\x89",
    ]


@pytest.mark.parametrize(
    ("variant", "label", "kind"),
    [
        ("webp_as_png", "image/png", "WEBP"),
        ("jpeg_as_png", "image/png", "JPEG"),
        ("png_as_jpeg", "image/jpeg", "PNG"),
        ("png_as_svg", "image/svg+xml", "PNG"),
        ("png_as_nonsense", "../../etc/passwd", "PNG"),
    ],
)
async def test_label_is_wrong(sim: Simulator, variant: str, label: str, kind: str) -> None:
    [link] = await links_of(sim, "P60", variant)

    assert link.startswith(f"data:{label};base64,")
    assert Image.open(io.BytesIO(repair(link))).format == kind


@pytest.mark.parametrize("row", ["P59", "P61", "P62", "P63", "P66"])
async def test_specimens_travel_unchanged(sim: Simulator, row: str) -> None:
    name = ROWS[row][0]

    [link] = await links_of(sim, row, name)
    [text] = await texts_of(sim, row, name)

    assert link.startswith("data:image/png;base64,")
    assert repair(link) == repair(text) == specimen(name)


async def test_count_is_not_what_was_asked(sim: Simulator) -> None:
    counts = {variant: len(await links_of(sim, "P68", variant)) for variant in ("two", "five", "one", "hundred")}

    assert counts == {"two": 2, "five": 5, "one": 1, "hundred": 100}


async def test_same_picture_every_time(sim: Simulator) -> None:
    first, again = [await links_of(sim, "P69", "same") for _ in range(2)]
    twice = await links_of(sim, "P69", "same_twice")

    assert first == again == twice[:1] == twice[1:]
