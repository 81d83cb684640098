"""Which images are taken, and how large they may be: for all who ask, without a decoder."""

EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif"}
MAX_BYTES = 32 * 2**20
MAX_PIXELS = 40_000_000
MAX_SIDE = 16_384
MIN_SIDE = 64  # what is smaller is no picture that somebody ordered, but may well be a reference
# A larger reference is made smaller, if it has no more than this; all of them take some 700 MB then.
MAX_REFERENCE_PIXELS = {"image/jpeg": 120_000_000, "image/png": 64_000_000}
MAX_ISO_MEDIA_PIXELS = 64_000_000  # of an AVIF or HEIC
