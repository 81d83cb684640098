"""Group upload: pictures that are none, forms that are none, and names that want to be paths."""

from __future__ import annotations

from simulator.pictures.corpus import ROWS, specimen

from tests.catalogues.bad_input.case import Case

PNG = {"Content-Type": "image/png"}
LIMIT = 32 * 2**20
EDGE = "canary-edge"
FORM = {"Content-Type": f"multipart/form-data; boundary={EDGE}"}
MIXED = f"Content-Type: multipart/mixed; boundary={EDGE}"
GOOD = specimen("good_png")


def part(data: bytes, disposition: str = 'form-data; name="file"; filename="x.png"', *more: str) -> bytes:
    """Write one part of a form."""
    head = "\r\n".join([f"Content-Disposition: {disposition}", *more])
    return f"--{EDGE}\r\n{head}\r\n\r\n".encode() + data + b"\r\n"


def end() -> bytes:
    """Write the end of a form."""
    return f"--{EDGE}--\r\n".encode()


def upload(row: str, what: str, code: str, body: bytes, *, status: int = 422, **headers: str) -> Case:
    """Send a file that must be refused."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()} or PNG
    return Case(row=row, what=what, status=status, code=code, path="/v1/uploads", who="carl", headers=sent, body=body)


def form(what: str, body: bytes, code: str = "multipart_invalid", *, status: int = 400, kind: str = "") -> Case:
    """Send a form that must be refused."""
    return upload("B43", what, code, body, status=status, Content_Type=kind or FORM["Content-Type"])


BROKEN = {
    **{name: "upload_not_an_image" for row in ("P58", "P59", "P61") for name in ROWS[row] if name != "avif"},
    **dict.fromkeys(("claims_50000x50000", "claims_65500_jpeg", "bomb_13000"), "upload_image_too_large"),
    **dict.fromkeys(("apng_800_mpx", "apng_10000_frames", "gif_800_mpx", "webp_800_mpx"), "upload_image_too_large"),
    "many_rows": "upload_not_an_image",
}
TOO_LARGE = [
    upload("B42", "one byte too many", "upload_too_large", GOOD + bytes(LIMIT + 1 - len(GOOD)), status=413),
    upload("B42", "too many in a form", "upload_too_large", part(bytes(LIMIT + 1)) + end(), status=413, **FORM),
    upload("B42", "far too many in a form", "upload_too_large", part(bytes(LIMIT + 2**21)) + end(), status=413, **FORM),
]  # fmt: skip
FORMS = [
    form("no boundary", part(GOOD) + end(), kind="multipart/form-data"),
    form("boundary of 10 kB", part(GOOD) + end(), kind="multipart/form-data; boundary=" + "x" * 10_000),
    form("empty boundary", part(GOOD) + end(), kind="multipart/form-data; boundary="),
    form("another boundary", part(GOOD) + end(), kind="multipart/form-data; boundary=other"),
    form("no final boundary", part(GOOD)),
    form("cut off in a header", part(GOOD)[:40]),
    form("nothing", b""),
    form("only its end", end()),
    form("part without a name", part(GOOD, "form-data") + end()),
    form("part without a disposition", f"--{EDGE}\r\nX: y\r\n\r\nz\r\n".encode() + end()),
    form("no file", part(b"x", 'form-data; name="file"') + end()),
    form("two files", part(GOOD) + part(GOOD) + end()),
    form("nested", part(part(GOOD) + end(), "form-data; name=file", MIXED) + end()),
    form("10,000 parts", part(b"", 'form-data; name="x"') * 10_000 + end()),
    form("header of 1 MB", part(GOOD, 'form-data; name="file"; filename="x.png"', "X: " + "y" * 2**20) + end()),
    form("10,000 headers", part(GOOD, 'form-data; name="file"; filename="x.png"', *["X: y"] * 10_000) + end()),
    form("100 kB before the first boundary", b"x" * 100_000 + part(GOOD) + end()),
    form("options that take long to read", part(GOOD), kind="multipart/form-data; !=\"" + "\\" * 30_000),
    form("a file of line ends", part(b"\r\n" * (15 * 2**20)) + end(), "upload_not_an_image", status=422),
    form("a file of almost boundaries", part(b"\r\n--canary-edg" * 10**6) + end(), "upload_not_an_image", status=422),
    form("urlencoded", b"file=x", "unsupported_media_type", status=415, kind="application/x-www-form-urlencoded"),
]  # fmt: skip
AROUND = {  # a form, which readers skip
    "30 MB of line ends before it": b"\r\n" * (15 * 2**20) + part(GOOD) + end(),
    "30 MB after the end": part(GOOD) + end() + b"\r" * (30 * 2**20),
}
PICTURES = [upload("B45", name, code, specimen(name)) for name, code in BROKEN.items()]
UPLOADS = [*TOO_LARGE, *FORMS, *PICTURES]

NAMES = (
    *("../../x.png", "/etc/cron.d/x", "a.png\0.exe", "con.png", "x" * 1_000, "\u202egnp.exe", "", ".bashrc"),
    *("%2e%2e%2fx.png", "x\\..\\y.png", "~", "-rf", "CON", "a b'c$(id).png", "file.png;x=y", "${HOME}"),
)  # fmt: skip
