"""Group path: references as a token with the right `paths` may name them."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from simulator.pictures.corpus import specimen

from tests.catalogues.bad_input.case import Case, job
from tests.support.factories.images import picture

SPARSE = 10 * 2**30
FORBIDDEN = {
    "B01": {
        "up": "../../etc/passwd",
        "absolute": "/etc/passwd",
        "missing": "/etc/canary-missing",
        "dots": "....//canary",
        "escaped": "%2e%2e/canary.png",
    },
    "B02": {"sibling": "../workspace2/canary.png"},
    "B03": {
        "link": "link-out.png",
        "linked folder": "folder-out/canary.png",
        "chain": "chain.png",
        "root of a process": "/proc/self/root/etc/passwd",
        "environment": "/proc/self/environ",
        "descriptor": "/dev/fd/3",
    },
}
UNKNOWN = {"upload": "up_" + "0" * 64, "artifact": "img_" + "0" * 12, "half an id": "img_0123"}
NO_SUCH_FILE = {
    "backslashes": "..\\..\\canary",
    "home": "~",
    "another home": "~root/canary",
    "newline": "canary\n.png",
    "escape": "\x1b[31mcanary.png",
    "look-alike": "\u202fgood.png",
    "shape of a link": "folder-out/canar\uff59.png",
}
ODD = {
    "NUL": "canary\0.png",
    "5,000 characters": "x/" * 2_500,
    "long name": "x" * 300 + ".png",
    "empty": "",
    "file": "file:///etc/passwd",
    "address": "http://canary.example/x.png",
    "data": "data:image/png;base64,Y2FuYXJ5",
    "drive": "C:/canary.png",
    "UNC": "\\\\host\\share\\canary.png",
}
NO_FILE = {"pipe": "pipe", "socket": "socket", "folder": "folder"}
NO_IMAGE = {
    **{"zero bytes": "empty", "text": "text", "SVG": "svg", "PDF": "pdf", "AVIF": "avif_like"},
    **{"truncated": "truncated_png", "HTML": "html"},
}
TOO_LARGE = {"header bomb": "claims_50000x50000", "pixel bomb": "bomb_13000"}


def reference(row: str, what: str, code: str, *names: str) -> Case:
    """Name references that must be refused."""
    return job(row, what, code, who="bot", reference_images=list(names))


PATHS = [
    *(
        reference(row, what, "reference_outside_roots", name)
        for row, names in FORBIDDEN.items()
        for what, name in names.items()
    ),
    *(reference("B12", f"unknown {what}", "reference_not_found", name) for what, name in UNKNOWN.items()),
    *(reference("B08", what, "reference_invalid", name) for what, name in ODD.items()),
    *(reference("B08", what, "reference_outside_roots", name) for what, name in NO_SUCH_FILE.items()),
    *(reference("B06", what, "reference_not_a_file", name) for what, name in NO_FILE.items()),
    reference("B06", "device", "reference_outside_roots", "/dev/zero"),  # one inside of a root is like a pipe
    reference("B06", "10 GB", "reference_too_large", "sparse.png"),
    reference("B09", "link to itself", "reference_unreadable", "loop.png"),  # what others own, root may read
    *(reference("B10", what, "reference_not_an_image", f"{name}.png") for what, name in NO_IMAGE.items()),
    *(reference("B10", what, "reference_too_large", f"{name}.png") for what, name in TOO_LARGE.items()),
    reference("B11", "17", "too_many_references", *(f"many/{number}.png" for number in range(17))),
    reference("B11", "84 MB together", "reference_too_large", *(f"large-{number}.png" for number in range(3))),
]


def lay(workspace: Path) -> None:
    """Lay out the files that the references name."""
    outside = workspace.with_name("workspace2")
    for folder in (workspace / "folder", workspace / "many", outside):
        folder.mkdir(parents=True)
    (outside / "canary.png").write_bytes(picture())
    (workspace / "good.png").write_bytes(picture())
    for name in (*NO_IMAGE.values(), *TOO_LARGE.values()):
        (workspace / f"{name}.png").write_bytes(specimen(name))
    for number in range(3):
        (workspace / f"large-{number}.png").write_bytes(picture() + bytes(28 * 2**20))
    for number in range(17):
        (workspace / "many" / f"{number}.png").write_bytes(picture())
    for name, to in {
        "link-in.png": "good.png",
        "link-out.png": "../workspace2/canary.png",
        "chain.png": "link-out.png",
        "folder-out": "../workspace2",
        "loop.png": "loop.png",
    }.items():
        (workspace / name).symlink_to(to)
    os.mkfifo(workspace / "pipe")
    os.truncate(os.open(workspace / "sparse.png", os.O_CREAT | os.O_WRONLY), SPARSE)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(workspace / "socket"))
