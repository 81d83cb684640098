"""What it takes to decode a picture is told before it is decoded, and is enough."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from contract.untrusted.imaging.inspect import clean
from contract.untrusted.sandbox_process import SandboxProcess

MIB = 2**20
SIDE = 3000
OVERHEAD = 12 * MIB  # of whatever else is done for the first time
ANIMATED = {"save_all": True}


class Told(Exception):
    """Ends the decoding before it begins."""


def encoded(form: str, *, mode: str = "RGB", frames: int = 1, side: int = SIDE, **options: Any) -> bytes:
    first = Image.effect_noise((64, 64), 90).convert(mode).resize((side, side))
    others = [Image.new(mode, (side, side), shade) for shade in range(1, frames)]
    file = io.BytesIO()
    first.save(file, form, **(options | ({"save_all": True, "append_images": others} if others else {})))
    return file.getvalue()


KINDS: dict[str, dict[str, Any]] = {
    "png": {"form": "PNG", "mode": "RGBA", "compress_level": 1},
    "grey-png": {"form": "PNG", "mode": "L", "compress_level": 1},
    "apng": {"form": "PNG", "mode": "RGBA", "frames": 3, "compress_level": 1, "side": 2000},
    "jpeg": {"form": "JPEG", "quality": 80},
    "progressive-jpeg": {"form": "JPEG", "quality": 80, "progressive": True},
    "webp": {"form": "WEBP", "quality": 50, "method": 0},
    "lossless-webp": {"form": "WEBP", "lossless": True, "method": 0, "quality": 0},
    "gif": {"form": "GIF", "mode": "P"},
    "moving-gif": {"form": "GIF", "mode": "P", "frames": 3, "side": 2000},
}


@contextmanager
def reader(tmp_path: Path) -> Iterator[SandboxProcess]:
    with (tmp_path / "lock").open("w+b") as lock:
        child = SandboxProcess("worker.sandbox.child", str(2**40), lock=lock)
        try:
            yield child
        finally:
            child.end()


def status(child: SandboxProcess, name: str) -> int:
    lines = Path(f"/proc/{child._process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def weight_of(data: bytes) -> int:
    told: list[int] = []

    def tell(size: int) -> None:
        told.append(size)
        raise Told

    with pytest.raises(Exception, match="Told"):
        clean(data, weigh=tell)
    return told[0]


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("kind", KINDS)
def test_no_picture_takes_more_memory_than_it_weighs(kind: str, tmp_path: Path) -> None:
    data = encoded(**KINDS[kind])
    with reader(tmp_path) as child:
        child.ask({"provider": ""}, encoded(KINDS[kind]["form"], side=64))
        before = status(child, "VmRSS")
        Path(f"/proc/{child._process.pid}/clear_refs").write_text("5")
        found, _ = child.ask({"provider": ""}, data)
        taken = status(child, "VmHWM") - before
    assert "error" not in found
    assert taken <= weight_of(data) + OVERHEAD
