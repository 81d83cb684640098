"""What the HTTP gateway and its tokens refuse, in people's words."""

from __future__ import annotations

from contract.kind import Kind, lasting

GATEWAY: dict[str, Kind] = {
    "token_exists": lasting(
        "Token exists",
        "There is already a token[ named {name}| of this name].",
        "Choose another name, or revoke the old one first.",
        status=409,
    ),
    "token_name_invalid": lasting(
        "Token name not usable",
        "The name of a token, and of its user, has 1 to 64 letters, digits or @._:+- and nothing else.",
    ),
    "token_not_found": lasting(
        "No such token",
        "There is no token[ named {name}| of this name].",
        "`darkroom token list` shows them all.",
        status=404,
    ),
    "upload_image_too_large": lasting(
        "Picture too large",
        "This picture is larger than we decode"
        "[: it may have {max_mib} MiB, {max_mpx} megapixels and {max_side} pixels a side].",
        "Make it smaller, or simpler; the frames of an animation count together.",
    ),
    "upload_not_an_image": lasting(
        "Upload is no image",
        "An upload must be a valid PNG, JPEG, WebP or GIF file.",
        "Convert it to one of these, and check that it is whole.",
    ),
    "upload_too_large": lasting(
        "Upload too large",
        "An upload may have [at most {max_mib} MiB|fewer bytes].",
        "Send a smaller file.",
        status=413,
    ),
}
