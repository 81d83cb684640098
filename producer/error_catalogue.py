"""What the HTTP gateway, its tokens and its clients refuse, in people's words: one constant for each error code."""

from __future__ import annotations

from contract.errors.catalogue import KINDS
from contract.errors.kind import ErrorKind, kinds_in, permanent, temporary

BAD_REQUEST = permanent(
    "bad_request", "Bad request", "The request could not be understood.", "Check how it is spelt.", status=400
)
BODY_TOO_LARGE = permanent(
    "body_too_large",
    "Body too large",
    "The body may have [{max} at most|fewer bytes].",
    "Send less at once.",
    status=413,
)
CSRF_REJECTED = permanent(
    "csrf_rejected",
    "Request from another site",
    "This request comes from a page of another site, so it is not followed.",
    status=403,
)
FORBIDDEN = permanent(
    "forbidden",
    "Not allowed",
    "This token may not do that[: it lacks the right {right}].",
    "Use one that may.",
    status=403,
)
GATEWAY_STOPPING = temporary(
    "gateway_stopping",
    "Gateway restarts",
    "The gateway is being restarted; the job goes on.",
    "Look at the job in a moment, or ask again with the same Idempotency-Key.",
    status=503,
)
HEADERS_TOO_LARGE = permanent(
    "headers_too_large",
    "Headers too large",
    "The headers of the request are too large.",
    "32 KiB suffice for all of them.",
    status=431,
)
HOST_NOT_ALLOWED = permanent(
    "host_not_allowed",
    "Unknown host name",
    "This gateway does not answer under that host name.",
    "The operator lists its names in DARKROOM_HOSTS.",
    status=421,
)
IMAGE_REQUIRED = permanent("image_required", "Image missing", "Send the image to edit, as a file or a data URL.")
JOB_ALREADY_FINISHED = permanent(
    "job_already_finished",
    "Job already over",
    "The job is already over[: it has {state}].",
    "There is nothing to cancel.",
    status=409,
)
JOB_CANCELLED = permanent(
    "job_cancelled", "Job cancelled", "The job was cancelled.", "Hand it in again if that was not meant.", status=409
)
JOB_NOT_FINISHED = temporary(
    "job_not_finished",
    "Job not over yet",
    "The job is not over yet[: it is {state}].",
    "Wait for its end, or cancel it.",
    status=409,
)
JSON_DUPLICATE_KEY = permanent(
    "json_duplicate_key", "Key given twice", "The JSON gives a key twice.", "Leave one of them out.", status=400
)
JSON_INVALID = permanent(
    "json_invalid", "JSON not readable", "The body is not valid JSON in UTF-8[: {reason}].", status=400
)
MEDIA_ELSEWHERE = permanent(
    "media_elsewhere",
    "Images out of reach",
    "This gateway does not have the workers' media directory, so it can neither show nor remove images.",
    "The operator lets gateway and workers share one media directory; `darkroom doctor` looks at it.",
    status=503,
)
LINK_EXPIRED = permanent(
    "link_expired",
    "Link expired",
    "This link is not valid any more, or never was.",
    "Look at the job again: it brings a new one.",
    status=403,
)
MASK_NOT_SUPPORTED = permanent(
    "mask_not_supported",
    "Masks not supported",
    "Masks are not supported.",
    "Say in the prompt what is to change, and leave the mask out.",
)
METHOD_NOT_ALLOWED = permanent(
    "method_not_allowed",
    "Method not allowed",
    "This address does not know that method.",
    "The header Allow names those it does.",
    status=405,
)
MULTIPART_INVALID = permanent(
    "multipart_invalid", "Form not readable", "The multipart form could not be read[: {reason}].", status=400
)
NOT_FOUND = permanent(
    "not_found", "Nothing there", "There is nothing at this address.", "/docs lists what there is.", status=404
)
ORIGIN_NOT_ALLOWED = permanent(
    "origin_not_allowed",
    "Origin not allowed",
    "Pages of that origin may not use this gateway.",
    "The operator lists origins in DARKROOM_ORIGINS.",
    status=403,
)
RANGE_NOT_SATISFIABLE = permanent(
    "range_not_satisfiable",
    "No such part",
    "The file has no such part.",
    "Content-Range tells how large it is.",
    status=416,
)
RATE_LIMITED = temporary(
    "rate_limited",
    "Too many requests",
    "Too many requests[: try again in {retry_after_s} s].",
    "The operator sets DARKROOM_RATE.",
    status=429,
)
REFERENCE_NOT_A_DATA_URL = permanent(
    "reference_not_a_data_url",
    "No picture in it",
    "Send pictures as data:image/png;base64,… or of another image type.",
    status=422,
)
REQUEST_TIMEOUT = temporary(
    "request_timeout", "Request too slow", "The request did not arrive in time.", "Send it again.", status=408
)
TOKEN_EXISTS = permanent(
    "token_exists",
    "Token exists",
    "There is already a token[ named {name}| of this name].",
    "Choose another name, or revoke the old one first.",
    status=409,
)
TOKEN_NAME_INVALID = permanent(
    "token_name_invalid",
    "Token name not usable",
    "The name of a token, and of its user, has 1 to 64 letters, digits or @._:+- and nothing else.",
)
TOKEN_NOT_FOUND = permanent(
    "token_not_found",
    "No such token",
    "There is no token[ named {name}| of this name].",
    "`darkroom token list` shows them all.",
    status=404,
)
TOKENS_UNREADABLE = temporary(
    "tokens_unreadable",
    "Tokens not readable",
    "The gateway cannot read its tokens at the moment.",
    "The operator's log says why; the file of DARKROOM_TOKENS must be whole, and its owner's alone.",
    status=503,
)
TOO_BUSY = temporary(
    "too_busy", "Too busy", "Too many jobs are being handed in right now. Try again in a few seconds.", status=503
)
TOO_MANY_STREAMS = temporary(
    "too_many_streams",
    "Too many streams",
    "You follow [{max}|too many] jobs already.",
    "Close some; the operator can raise DARKROOM_MAX_STREAMS_PER_OWNER.",
    status=429,
)
UNAUTHORIZED = permanent(
    "unauthorized",
    "Token missing or unknown",
    "A valid token is needed.",
    "Send it as `Authorization: Bearer dk_…`; `darkroom token create NAME` makes one.",
    status=401,
)
UNKNOWN_MODEL = permanent(
    "unknown_model",
    "Unknown model",
    "There is no such model here.",
    "/v1/models lists those there are; leave it out for the default.",
)
UNSUPPORTED_ENCODING = permanent(
    "unsupported_encoding", "Encoding not supported", "Send the body as it is, without Content-Encoding.", status=415
)
UNSUPPORTED_MEDIA_TYPE = permanent(
    "unsupported_media_type",
    "Media type not supported",
    "[Send {accepted}|This media type is not supported here].",
    status=415,
)
UPLOAD_IMAGE_TOO_LARGE = permanent(
    "upload_image_too_large",
    "Picture too large",
    "This picture is larger than we decode"
    "[: it may have {max_mib} MiB, {max_mpx} megapixels and {max_side} pixels a side].",
    "Make it smaller, or simpler; the frames of an animation count together.",
)
UPLOAD_NOT_AN_IMAGE = permanent(
    "upload_not_an_image",
    "Upload is no image",
    "An upload must be a valid PNG, JPEG, WebP or GIF file.",
    "Convert it to one of these, and check that it is whole.",
)
UPLOAD_TOO_LARGE = permanent(
    "upload_too_large",
    "Upload too large",
    "An upload may have [at most {max}|fewer bytes].",
    "Send a smaller file.",
    status=413,
)
URL_INVALID = permanent("url_invalid", "Address too long", "The address is too long.", status=414)

GATEWAY: dict[str, ErrorKind] = kinds_in(globals())
ALL_KINDS: dict[str, ErrorKind] = KINDS | GATEWAY
