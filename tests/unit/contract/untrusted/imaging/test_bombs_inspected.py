"""What costs far more to open than to send is refused at once; what is odd but cheap may be taken (rows P63 to P66)."""

import json
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image
from simulator.pictures import animation, png
from simulator.pictures.corpus import ROWS, specimen
from simulator.pictures.corpus_good import save

from contract.untrusted.imaging.inspect import MAX_FRAMES, ImageInfo, NotAnImage, inspect
from contract.untrusted.imaging.limits import MAX_BYTES
from tests.support.factories.image_files import into_gif, into_jpeg, into_webp, tiny_gif

QUICK_S = 1.5
PEAK_MIB = 250
LARGE = 30 * 2**20


def with_chunks(extra: bytes) -> bytes:
    return png.png(64, 64, extra=extra)


LOOK = """
import json, sys, time
from pathlib import Path
from contract.untrusted.imaging.inspect import NotAnImage, inspect
for path in sys.stdin:
    data, refusal = Path(path.strip()).read_bytes(), ""
    begun = time.process_time()
    try:
        inspect(data)
    except NotAnImage as error:
        refusal = type(error).__name__
    seconds = time.process_time() - begun
    status = Path("/proc/self/status").read_text() if sys.platform == "linux" else "VmHWM: 0"
    print(json.dumps([refusal, seconds, int(status.split("VmHWM:")[1].split()[0])]), flush=True)
"""


class Look(NamedTuple):
    """What came of a look at a picture: the name of an error or "", and what all looks have taken so far."""

    refusal: str
    seconds: float
    peak_kib: int


class Eye:
    """Looks at pictures in a process of its own, so that the memory they take can be measured."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._path = folder / "picture"

    def look(self, data: bytes) -> Look:
        """Look at a picture, which has to be done quickly."""
        assert self._process.stdin
        assert self._process.stdout
        self._path.write_bytes(data)
        print(self._path, file=self._process.stdin, flush=True)
        look = Look(*json.loads(self._process.stdout.readline()))
        assert look.seconds < QUICK_S
        return look

    def refuses(self, data: bytes) -> str:
        """Look at what must be refused, in little memory; answer how."""
        look = self.look(data)
        assert look.peak_kib < PEAK_MIB * 1024
        assert look.refusal
        return look.refusal


@pytest.fixture(scope="module")
def eye(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Eye]:
    root = Path(__file__).parents[5]
    command = [sys.executable, "-c", LOOK]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=root) as process:
        yield Eye(process, tmp_path_factory.mktemp("bombs"))


BOMBS = {
    "201-frames": lambda: tiny_gif(MAX_FRAMES + 1),
    "100000-frames": lambda: tiny_gif(100_000),
    "720-mpx-in-frames": lambda: tiny_gif(20, 6000, 6000),
    "102-mpx-in-two-apng-frames": lambda: animation.apng(3, 6000, 5700),
    "too-many-bytes": lambda: bytes(MAX_BYTES + 1),
}
CATALOGUE = [*ROWS["P63"], *ROWS["P64"], *(name for name in ROWS["P66"] if "10000" in name or "mpx" in name)]


@pytest.mark.parametrize("make", BOMBS.values(), ids=BOMBS)
def test_p63_p64_p66_a_bomb_is_refused_quickly_and_in_little_memory(make: Callable[[], bytes], eye: Eye) -> None:
    assert eye.refuses(make()) == "TooLarge"


@pytest.mark.parametrize("name", CATALOGUE)
def test_p63_p64_p66_the_bombs_of_the_catalogue_are_refused_so(name: str, eye: Eye) -> None:
    assert eye.refuses(specimen(name)) == ("NotAnImage" if "0x0" in name else "TooLarge")


@pytest.mark.parametrize(("width", "height"), [(0, 0), (0, 8), (8, 0)])
def test_p63_an_image_without_pixels_is_none(width: int, height: int) -> None:
    with pytest.raises(NotAnImage):
        inspect(png.png(width, height))


def large_frame() -> bytes:
    """Make an APNG whose one frame is larger than the picture."""
    control = struct.pack(">IIIIIHHBB", 0, 2**31 - 1, 2**31 - 1, 0, 0, 1, 1, 0, 0)
    return with_chunks(png.chunk(b"acTL", struct.pack(">II", 1, 0)) + png.chunk(b"fcTL", control))


def lying_webp() -> bytes:
    """Make a WebP whose header promises less than its picture has."""
    body = b"VP8X" + struct.pack("<IB3x", 10, 0) + b"\x07\0\0" * 2 + specimen("good_webp")[12:]
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def scans(width: int, height: int, more: int) -> bytes:
    """Make a progressive JPEG with its last scan many times."""
    whole = save(Image.new("L", (width, height)), "JPEG", progressive=True)
    return whole[:-2] + whole[whole.rindex(b"\xff\xda") : -2] * more + whole[-2:]


def missing_row() -> bytes:
    """Make a large PNG without its last row."""
    data = png.chunk(b"IDAT", png.black(6000, 5999))
    return png.SIGNATURE + png.header(6000, 6000) + data + png.END


HEAPS = {
    "chunks": lambda: with_chunks(png.chunk(b"prIv") * (LARGE // 12)),
    "texts": lambda: with_chunks(png.chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(10**6))) * 100),
    "missing-row": missing_row,
    "segments": lambda: into_jpeg(b"\xff\xfe\0\2" * (LARGE // 4)),
    "riff": lambda: into_webp(b"EVIL\0\0\0\0" * (LARGE // 8)),
    "scans": lambda: scans(6000, 6000, 1000),
    "zeros": lambda: into_gif(bytes(LARGE)),
    "pieces": lambda: into_gif(b"\x21\xfe" + b"\1a" * (LARGE // 2) + b"\0"),
    "frames": lambda: tiny_gif(LARGE // 15),
    "large-frame": large_frame,
    "lying-webp": lying_webp,
}


@pytest.mark.parametrize("make", HEAPS.values(), ids=HEAPS)
def test_p65_heaps_of_anything_are_refused_so(make: Callable[[], bytes], eye: Eye) -> None:
    assert eye.refuses(make())


def test_p65_fill_between_segments_is_skipped_quickly() -> None:
    begun = time.process_time()
    assert inspect(into_jpeg(b"\xff" * LARGE)).width == 320
    assert time.process_time() - begun < QUICK_S


@pytest.mark.parametrize("name", ROWS["P65"])
def test_p65_odd_metadata_cost_little_whether_taken_or_not(name: str, eye: Eye) -> None:
    if "_bomb" in name or "rows" in name:
        assert eye.refuses(specimen(name))
    else:
        assert not eye.look(specimen(name)).refusal


@pytest.mark.parametrize("name", [b"zTXt", b"iTXt", b"iCCP"])
def test_p65_a_bomb_behind_the_pixels_never_unfolds(name: bytes) -> None:
    heads = {b"zTXt": b"key\0\0", b"iTXt": b"key\0\1\0\0\0", b"iCCP": b"name\0\0"}
    bomb = png.png(64, 64, tail=png.chunk(name, heads[name] + png.zeros(200_000_000)))
    begun = time.process_time()
    with pytest.raises(NotAnImage):
        inspect(bomb)
    assert time.process_time() - begun < QUICK_S


@pytest.mark.parametrize(
    "tiff",
    [
        b"",
        b"junk",
        b"MM\0*",
        b"II*\0" + struct.pack("<IH", 8, 500),
        b"II*\0" + struct.pack("<I", 2**32 - 1),
        b"II*\0" + struct.pack("<IHHHIH", 8, 1, 0x0112, 3, 1, 9),
        b"II*\0" + struct.pack("<IHHHII", 8, 1, 0x0112, 4, 1, 6),
    ],
)
def test_p65_junk_for_exif_is_no_orientation(tiff: bytes) -> None:
    assert inspect(with_chunks(png.chunk(b"eXIf", tiff))).orientation == 1


def test_an_honest_picture_of_the_largest_size_is_taken() -> None:
    width, height = 16_384, 2_441
    data = save(Image.new("L", (width, height)), "PNG", compress_level=1)
    assert inspect(data) == ImageInfo(mime="image/png", width=width, height=height, frames=1, is_blank=True)
