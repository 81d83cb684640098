"""Strangers' pictures with a real child: what comes back is clean, and what is hostile costs a child at most."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image
from simulator.pictures import png
from simulator.pictures.corpus import ROWS, specimen
from simulator.pictures.corpus_good import exif, save, scene

from contract.artifacts.references import DecodedImage, NoReference
from contract.errors.exceptions import Refused
from contract.untrusted.sandbox_process import MEMORY_BYTES
from producer.imaging.sandbox import QUICK_PIXELS, ImageSandbox
from tests.support.factories.image_files import opened
from tests.support.factories.images import picture
from tests.support.process.loop_stalls import watching_the_loop

PICTURE = picture()
NO_IMAGE, TOO_LARGE = "upload_not_an_image", "upload_image_too_large"
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

Process = subprocess.Popen[bytes]


@pytest.fixture
async def pictures(processes: list[Process]) -> AsyncIterator[ImageSandbox]:
    async with ImageSandbox() as pictures:
        yield pictures
    assert all(process.poll() is not None for process in processes)


async def refusal(pictures: ImageSandbox, data: bytes) -> str:
    with pytest.raises(Refused) as caught:
        await pictures.adopt(data)
    return caught.value.code


async def test_nothing_is_started_until_it_is_needed(pictures: ImageSandbox, processes: list[Process]) -> None:
    assert not processes
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("darkroom-pictures")]
    await pictures.adopt(PICTURE)
    assert len(processes) == 1


def test_the_child_imports_nothing_of_the_gateway() -> None:
    look = "import sys, producer.imaging.sandbox_child; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    found = {name for name in done.stdout.split() if name.split(".")[0] in ("contract", "producer", "worker")}
    assert {name for name in found if not name.startswith("contract")} == {
        "producer",
        "producer.imaging",
        "producer.imaging.sandbox_child",
    }
    assert not {"redis", "celery", "pydantic", "fastapi", "typer", "httpx", "asyncio"} & set(done.stdout.split())


@linux
async def test_the_child_sees_no_key_and_is_bound(
    pictures: ImageSandbox, processes: list[Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", "canary-secret")
    await pictures.adopt(PICTURE)
    proc = Path(f"/proc/{processes[0].pid}")
    assert b"canary" not in (proc / "environ").read_bytes()
    assert str(MEMORY_BYTES) in (proc / "limits").read_text()


@pytest.mark.parametrize("name", [*ROWS["good"], "png_c2pa"])
async def test_a_picture_without_foreign_parts_stays_as_it_is(name: str, pictures: ImageSandbox) -> None:
    data = specimen(name)
    cleaned = await pictures.adopt(data)
    assert cleaned.data is data
    assert (cleaned.width, cleaned.height) == (320, 240)


@pytest.mark.parametrize(
    ("name", "good"), [("png_zip_tail", "good_png"), ("png_html_text", "good_png"), ("webp_html_chunk", "good_webp")]
)
async def test_b45_what_is_no_part_of_a_picture_is_cut_off(name: str, good: str, pictures: ImageSandbox) -> None:
    kind = good.removeprefix("good_")
    assert await pictures.adopt(specimen(name)) == DecodedImage(specimen(good), f"image/{kind}", 320, 240)


@pytest.mark.parametrize("name", ["jpeg_gps", "png_gps", "webp_gps", "jpeg_php_comment", "jpeg_php_exif"])
async def test_b45_places_and_texts_are_dropped(name: str, pictures: ImageSandbox) -> None:
    found = opened((await pictures.adopt(specimen(name))).data)
    assert (dict(found.getexif()), found.info.get("comment")) == ({}, None)


async def test_a_picture_that_lies_on_its_side_is_turned_and_said_to_be_as_people_see_it(
    pictures: ImageSandbox,
) -> None:
    image = await pictures.adopt(save(scene(), "JPEG", exif=exif(orientation=6, gps=True)))
    turned = opened(image.data)
    assert (turned.size, image.width, image.height, dict(turned.getexif())) == ((240, 320), 240, 320, {})


async def test_b45_what_is_no_picture_is_refused_by_one_and_the_same_child(
    pictures: ImageSandbox, processes: list[Process]
) -> None:
    for name in {*ROWS["P59"], *ROWS["P61"]} - {"avif"}:
        assert await refusal(pictures, specimen(name)) == NO_IMAGE, name
    assert await refusal(pictures, b"") == NO_IMAGE
    assert len(processes) == 1


@linux
async def test_b45_bombs_are_refused_and_stay_within_limits(pictures: ImageSandbox, processes: list[Process]) -> None:
    assert await refusal(pictures, specimen("claims_50000x50000")) == TOO_LARGE
    assert await refusal(pictures, specimen("bomb_13000")) == TOO_LARGE
    assert await refusal(pictures, specimen("apng_800_mpx")) == TOO_LARGE
    for name in (*ROWS["P63"], *ROWS["P65"]):
        with suppress(Refused):  # some of them are pictures with junk around them
            await pictures.adopt(specimen(name))
    assert len(processes) == 1
    peak = Path(f"/proc/{processes[0].pid}/status").read_text().partition("VmHWM:")[2].split()[0]
    assert int(peak) * 1024 < MEMORY_BYTES / 2


@linux
async def test_what_eats_memory_kills_its_child_and_nothing_else(
    pictures: ImageSandbox, processes: list[Process], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(pictures._any.pool, "module", "tests.support.process.memory_hog")
        assert await refusal(pictures, PICTURE) == NO_IMAGE
    assert "a child was lost to an image of" in caplog.text
    assert (await pictures.adopt(PICTURE)).data is PICTURE
    assert len(processes) == 2


async def test_a_child_that_takes_too_long_is_replaced(processes: list[Process]) -> None:
    async with ImageSandbox() as pictures:
        await pictures.adopt(PICTURE)
        processes[0].send_signal(signal.SIGSTOP)
        pictures._any.pool.wall_s = 0.2
        started = time.monotonic()
        assert await refusal(pictures, PICTURE) == TOO_LARGE
        assert time.monotonic() - started < 1
        pictures._any.pool.wall_s = 10
        assert (await pictures.adopt(PICTURE)).width == 64
        assert processes[0].poll() == -signal.SIGKILL


async def test_a_child_that_was_killed_while_idle_costs_no_picture(
    pictures: ImageSandbox, processes: list[Process]
) -> None:
    await pictures.adopt(PICTURE)
    processes[0].send_signal(signal.SIGKILL)
    await asyncio.to_thread(os.waitid, os.P_PID, processes[0].pid, os.WEXITED | os.WNOWAIT)
    assert (await pictures.adopt(PICTURE)).width == 64


async def test_a_cancelled_question_is_not_answered_to_the_next_asker(
    pictures: ImageSandbox, processes: list[Process]
) -> None:
    await pictures.adopt(PICTURE)
    processes[0].send_signal(signal.SIGSTOP)
    asking = asyncio.create_task(pictures.adopt(picture(100)))
    await asyncio.sleep(0.05)
    waiting = asyncio.create_task(pictures.adopt(picture(80)))
    asking.cancel()
    assert (await waiting).width == 80
    assert asking.cancelled()


async def test_two_at_once_take_turns_and_get_their_own(pictures: ImageSandbox, processes: list[Process]) -> None:
    sides = [64, 65, 66, 67]
    cleaned = await asyncio.gather(*(pictures.adopt(picture(side)) for side in sides))
    assert [found.width for found in cleaned] == sides
    assert len(processes) == 1


async def test_a_small_copy_of_no_large_image_waits_for_no_other(pictures: ImageSandbox) -> None:
    async with pictures.adopted(PICTURE), asyncio.timeout(20):
        assert await pictures.thumbnail(PICTURE, side=8, pixels=QUICK_PIXELS)
        of_a_larger_one = asyncio.create_task(pictures.thumbnail(PICTURE, side=8, pixels=QUICK_PIXELS + 1))
        of_any = asyncio.create_task(pictures.thumbnail(PICTURE, side=8))
        assert await pictures.thumbnail(PICTURE, side=9, pixels=1)
        assert not of_a_larger_one.done()
        assert not of_any.done()
    await asyncio.gather(of_a_larger_one, of_any)


async def test_a_child_is_replaced_after_so_many_pictures(processes: list[Process]) -> None:
    async with ImageSandbox(most_pictures=2) as pictures:
        for _ in range(5):
            await pictures.adopt(PICTURE)
    assert len(processes) == 3


async def test_the_type_of_a_reference_and_its_upright_size_are_what_its_bytes_say(pictures: ImageSandbox) -> None:
    lying = specimen("jpeg_exif_rotated")
    for data, mime, *size in ((PICTURE, "image/png", 64, 64), (lying, "image/jpeg", 240, 320)):
        async with pictures.decoded(data) as found:
            assert found[1:] == (mime, *size)
            assert (found.data is data) == (data is PICTURE)


@pytest.mark.parametrize(("data", "is_too_large"), [(b"no image at all", False), (png.png(9_000, 9_000), True)])
async def test_what_is_no_reference_is_told_apart(data: bytes, is_too_large: bool, pictures: ImageSandbox) -> None:
    with pytest.raises(NoReference) as caught:
        async with pictures.decoded(data):
            pass
    assert caught.value.is_too_large is is_too_large
    assert caught.value.values == ({"limit": "64 megapixels"} if is_too_large else {})


async def test_a_thumbnail_is_small_and_upright(pictures: ImageSandbox) -> None:
    small = opened(await pictures.thumbnail(specimen("jpeg_exif_rotated"), side=100))
    assert (small.format, small.size) == ("JPEG", (75, 100))


async def test_a_picture_takes_another_form(pictures: ImageSandbox) -> None:
    data = specimen("good_png")
    for kind in ("JPEG", "WEBP"):
        made = opened(await pictures.convert(data, mime=f"image/{kind.lower()}", quality=None))
        assert (made.format, made.size) == (kind, (320, 240))
    assert await pictures.convert(data, mime="image/png", quality=None) is data


async def test_a_mistake_of_the_caller_is_no_fault_of_the_picture(pictures: ImageSandbox) -> None:
    for mime, quality in (("image/gif", None), ("image/jpeg", 101)):
        with pytest.raises(ValueError, match="cannot be encoded so"):
            await pictures.convert(PICTURE, mime=mime, quality=quality)
    with pytest.raises(ValueError, match="one pixel"):
        await pictures.thumbnail(PICTURE, side=0)


async def test_24_megapixels_do_not_hold_up_the_loop(pictures: ImageSandbox) -> None:
    noise = Image.effect_noise((1500, 1000), 40).resize((6000, 4000)).convert("RGB")
    data = await asyncio.to_thread(save, noise, "PNG", compress_level=1)
    longest = []
    for _ in range(3):  # other processes may disturb one of them
        with watching_the_loop() as stalls:
            cleaned = await pictures.adopt(png.insert(data, png.chunk(b"tEXt", b"Comment\0x")))
        assert cleaned.data == data
        longest.append(max(stalls))
        if longest[-1] < 0.05:
            break
    assert min(longest) < 0.05
