"""Which images are taken, and how large they may be: for all who ask, without a decoder."""

EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif"}
MAX_BYTES = 32 * 2**20
MAX_PIXELS = 40_000_000
MAX_SIDE = 16_384
MIN_SIDE = 64  # what is smaller is no picture that somebody ordered, but may well be a reference
MAX_REFERENCE_PIXELS = 120_000_000  # of a reference, which is made smaller than MAX_PIXELS
