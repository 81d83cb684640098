"""What the HTTP gateway and its tokens refuse, in people's words."""

from __future__ import annotations

from contract.errors.kind import ErrorKind, permanent, temporary

GATEWAY: dict[str, ErrorKind] = {
    "artifact_not_found": permanent(
        "No such image",
        "There is no such image.",
        "Check the id and whose image it is; images go with their jobs.",
        status=404,
    ),
    "bad_request": permanent(
        "Bad request", "The request could not be understood.", "Check how it is spelt.", status=400
    ),
    "body_too_large": permanent(
        "Body too large", "The body may have [{max} at most|fewer bytes].", "Send less at once.", status=413
    ),
    "csrf_rejected": permanent(
        "Request from another site",
        "This request comes from a page of another site, so it is not followed.",
        status=403,
    ),
    "forbidden": permanent(
        "Not allowed", "This token may not do that[: it lacks the right {right}].", "Use one that may.", status=403
    ),
    "gateway_stopping": temporary(
        "Gateway restarts",
        "The gateway is being restarted; the job goes on.",
        "Look at the job in a moment, or ask again with the same Idempotency-Key.",
        status=503,
    ),
    "headers_too_large": permanent(
        "Headers too large", "The headers of the request are too large.", "32 KiB suffice for all of them.", status=431
    ),
    "host_not_allowed": permanent(
        "Unknown host name",
        "This gateway does not answer under that host name.",
        "The operator lists its names in DARKROOM_HOSTS.",
        status=421,
    ),
    "image_required": permanent("Image missing", "Send the image to edit, as a file or a data URL."),
    "job_already_finished": permanent(
        "Job already over", "The job is already over[: it has {state}].", "There is nothing to cancel.", status=409
    ),
    "job_cancelled": permanent(
        "Job cancelled", "The job was cancelled.", "Hand it in again if that was not meant.", status=409
    ),
    "job_not_finished": temporary(
        "Job not over yet", "The job is not over yet[: it is {state}].", "Wait for its end, or cancel it.", status=409
    ),
    "json_duplicate_key": permanent(
        "Key given twice", "The JSON gives a key twice.", "Leave one of them out.", status=400
    ),
    "json_invalid": permanent("JSON not readable", "The body is not valid JSON in UTF-8[: {reason}].", status=400),
    "media_elsewhere": permanent(
        "Images out of reach",
        "This gateway does not have the workers' media directory, so it can neither show nor remove images.",
        "The operator lets gateway and workers share one media directory; `darkroom doctor` looks at it.",
        status=503,
    ),
    "link_expired": permanent(
        "Link expired",
        "This link is not valid any more, or never was.",
        "Look at the job again: it brings a new one.",
        status=403,
    ),
    "mask_not_supported": permanent(
        "Masks not supported",
        "Masks are not supported.",
        "Say in the prompt what is to change, and leave the mask out.",
    ),
    "method_not_allowed": permanent(
        "Method not allowed",
        "This address does not know that method.",
        "The header Allow names those it does.",
        status=405,
    ),
    "multipart_invalid": permanent(
        "Form not readable", "The multipart form could not be read[: {reason}].", status=400
    ),
    "not_found": permanent(
        "Nothing there", "There is nothing at this address.", "/docs lists what there is.", status=404
    ),
    "origin_not_allowed": permanent(
        "Origin not allowed",
        "Pages of that origin may not use this gateway.",
        "The operator lists origins in DARKROOM_ORIGINS.",
        status=403,
    ),
    "range_not_satisfiable": permanent(
        "No such part", "The file has no such part.", "Content-Range tells how large it is.", status=416
    ),
    "rate_limited": temporary(
        "Too many requests",
        "Too many requests[: try again in {retry_after_s} s].",
        "The operator sets DARKROOM_RATE.",
        status=429,
    ),
    "reference_not_a_data_url": permanent(
        "No picture in it", "Send pictures as data:image/png;base64,… or of another image type.", status=422
    ),
    "request_timeout": temporary(
        "Request too slow", "The request did not arrive in time.", "Send it again.", status=408
    ),
    "token_exists": permanent(
        "Token exists",
        "There is already a token[ named {name}| of this name].",
        "Choose another name, or revoke the old one first.",
        status=409,
    ),
    "token_name_invalid": permanent(
        "Token name not usable",
        "The name of a token, and of its user, has 1 to 64 letters, digits or @._:+- and nothing else.",
    ),
    "token_not_found": permanent(
        "No such token",
        "There is no token[ named {name}| of this name].",
        "`darkroom token list` shows them all.",
        status=404,
    ),
    "tokens_unreadable": temporary(
        "Tokens not readable",
        "The gateway cannot read its tokens at the moment.",
        "The operator's log says why; the file of DARKROOM_TOKENS must be whole, and its owner's alone.",
        status=503,
    ),
    "too_busy": temporary(
        "Too busy", "Too many jobs are being handed in right now. Try again in a few seconds.", status=503
    ),
    "too_many_streams": temporary(
        "Too many streams",
        "You follow [{max}|too many] jobs already.",
        "Close some; the operator can raise DARKROOM_MAX_STREAMS_PER_OWNER.",
        status=429,
    ),
    "unauthorized": permanent(
        "Token missing or unknown",
        "A valid token is needed.",
        "Send it as `Authorization: Bearer dk_…`; `darkroom token create NAME` makes one.",
        status=401,
    ),
    "unknown_model": permanent(
        "Unknown model",
        "There is no such model here.",
        "/v1/models lists those there are; leave it out for the default.",
    ),
    "unsupported_encoding": permanent(
        "Encoding not supported", "Send the body as it is, without Content-Encoding.", status=415
    ),
    "unsupported_media_type": permanent(
        "Media type not supported", "[Send {accepted}|This media type is not supported here].", status=415
    ),
    "upload_image_too_large": permanent(
        "Picture too large",
        "This picture is larger than we decode"
        "[: it may have {max_mib} MiB, {max_mpx} megapixels and {max_side} pixels a side].",
        "Make it smaller, or simpler; the frames of an animation count together.",
    ),
    "upload_not_an_image": permanent(
        "Upload is no image",
        "An upload must be a valid PNG, JPEG, WebP or GIF file.",
        "Convert it to one of these, and check that it is whole.",
    ),
    "upload_too_large": permanent(
        "Upload too large",
        "An upload may have [at most {max}|fewer bytes].",
        "Send a smaller file.",
        status=413,
    ),
    "url_invalid": permanent("Address too long", "The address is too long.", status=414),
}
