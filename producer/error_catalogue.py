"""What the HTTP gateway, its tokens and its clients refuse, in people's words: one constant for each error code."""

from __future__ import annotations

from contract.errors.catalogue.table import KINDS
from contract.errors.kind import ErrorKind, kinds_in, permanent, temporary

BACKGROUND_NOT_SUPPORTED = permanent(
    "background_not_supported",
    "Transparent background not supported",
    "Transparent backgrounds are not supported.",
    "Omit `background`, or set it to auto.",
)
BAD_REQUEST = permanent(
    "bad_request", "Bad request", "The request could not be understood.", "Check its syntax.", status=400
)
BODY_TOO_LARGE = permanent(
    "body_too_large",
    "Body too large",
    "The body must be [at most {max}|smaller].",
    "Send a smaller body.",
    status=413,
)
CSRF_REJECTED = permanent(
    "csrf_rejected",
    "Request from another site",
    "This request comes from a page of another site and was rejected.",
    status=403,
)
FORBIDDEN = permanent(
    "forbidden",
    "Not allowed",
    "This token is not allowed to do that[: it lacks the right {right}].",
    "Use a token with that right.",
    status=403,
)
GATEWAY_STOPPING = temporary(
    "gateway_stopping",
    "Gateway is restarting",
    "The gateway is restarting; the job continues.",
    "Read the job in a moment, or repeat the request with the same Idempotency-Key.",
    status=503,
)
HEADERS_TOO_LARGE = permanent(
    "headers_too_large",
    "Headers too large",
    "The headers of the request are too large.",
    "Send at most 32 KiB of headers.",
    status=431,
)
HOST_NOT_ALLOWED = permanent(
    "host_not_allowed",
    "Unknown host name",
    "This gateway does not serve that host name.",
    "The operator lists the allowed names in DARKROOM_HOSTS.",
    status=421,
)
IMAGE_REQUIRED = permanent("image_required", "Image missing", "Send the image to edit, as a file or a data URL.")
IMAGES_ONLY = permanent(
    "images_only",
    "Images only",
    "[{what} is not available|This is not available]: Darkroom only makes and changes images.",
    "Use POST /v1/images/generations, or POST /v1/images/edits with an image and a prompt.",
    status=404,
)
JOB_ALREADY_FINISHED = permanent(
    "job_already_finished",
    "Job already ended",
    "The job has already ended[: it has {state}].",
    "There is nothing to cancel.",
    status=409,
)
JOB_CANCELLED = permanent(
    "job_cancelled", "Job cancelled", "The job was cancelled.", "Submit it again if that was not intended.", status=409
)
JOB_NOT_FINISHED = temporary(
    "job_not_finished",
    "Job not ended yet",
    "The job has not ended yet[: it is {state}].",
    "Wait until it has ended, or cancel it.",
    status=409,
)
JSON_DUPLICATE_KEY = permanent(
    "json_duplicate_key", "Duplicate key", "The JSON has the same key twice.", "Remove one of them.", status=400
)
JSON_INVALID = permanent(
    "json_invalid", "JSON not readable", "The body is not valid JSON in UTF-8[: {reason}].", status=400
)
MEDIA_ELSEWHERE = permanent(
    "media_elsewhere",
    "Images out of reach",
    "This gateway does not see the workers' media directory, so it can neither show nor delete images.",
    "The operator must give gateway and workers the same media directory; `darkroom doctor` checks it.",
    status=503,
)
LINK_EXPIRED = permanent(
    "link_expired",
    "Link expired",
    "This link has expired or is not valid.",
    "Read the job again to get a new link.",
    status=403,
)
MASK_NOT_SUPPORTED = permanent(
    "mask_not_supported",
    "Masks not supported",
    "Masks are not supported.",
    "Describe the change in the prompt, and omit the mask.",
)
METHOD_NOT_ALLOWED = permanent(
    "method_not_allowed",
    "Method not allowed",
    "This address does not support that method.",
    "The Allow header lists the supported methods.",
    status=405,
)
MULTIPART_INVALID = permanent(
    "multipart_invalid", "Form not readable", "The multipart form could not be read[: {reason}].", status=400
)
NOT_FOUND = permanent(
    "not_found", "Not found", "There is nothing at this address.", "/docs lists all addresses.", status=404
)
ORIGIN_NOT_ALLOWED = permanent(
    "origin_not_allowed",
    "Origin not allowed",
    "Pages of that origin are not allowed to use this gateway.",
    "The operator lists the allowed origins in DARKROOM_ORIGINS.",
    status=403,
)
RANGE_NOT_SATISFIABLE = permanent(
    "range_not_satisfiable",
    "Range not satisfiable",
    "The requested range is outside the file.",
    "The Content-Range header gives its size.",
    status=416,
)
RATE_LIMITED = temporary(
    "rate_limited",
    "Too many requests",
    "Too many requests[: try again in {retry_after_s} s].",
    "The operator sets the limit with DARKROOM_RATE.",
    status=429,
)
REFERENCE_NOT_A_DATA_URL = permanent(
    "reference_not_a_data_url",
    "No data URL",
    "Send images as data URLs: data:image/png;base64,… or another image type.",
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
    "The name of a token or user must be 1 to 64 letters, digits or the characters @._:+-.",
)
TOKEN_NOT_FOUND = permanent(
    "token_not_found",
    "No such token",
    "There is no token[ named {name}| of this name].",
    "`darkroom token list` shows all tokens.",
    status=404,
)
TOKENS_UNREADABLE = temporary(
    "tokens_unreadable",
    "Tokens not readable",
    "The gateway cannot read its file of tokens at the moment.",
    "The gateway's log shows why; the file of DARKROOM_TOKENS must be valid and readable by its owner only.",
    status=503,
)
TOO_BUSY = temporary(
    "too_busy", "Too busy", "The gateway has too much to do right now. Try again in a few seconds.", status=503
)
TOO_MANY_ANSWERS = temporary(
    "too_many_answers",
    "Too many images at a time",
    "Too many images are already on their way to you.",
    "Ask for the next one when some of them have arrived.",
    status=429,
)
TOO_MANY_AT_ONCE = temporary(
    "too_many_at_once",
    "Too many requests at the same time",
    "Too many of your requests came at the same time.",
    "Send the next one when one has been answered.",
    status=429,
)
TOO_MANY_BYTES = temporary(
    "too_many_bytes",
    "Too many bytes",
    "You are sending too many bytes at the same time.",
    "Send the next file when one of them has arrived.",
    status=429,
)
TOO_MANY_CONNECTIONS = temporary(
    "too_many_connections",
    "Too many connections",
    "You have too many connections in use at the same time.",
    "Wait for some of the answers; the operator can raise DARKROOM_MAX_CONNECTIONS.",
    status=429,
)
TOO_MANY_IMAGES_WAITING = temporary(
    "too_many_images_waiting",
    "Too many images",
    "You already have [{max}|too many] images that wait to be looked at.",
    "Send the next one when some of them are done.",
    status=429,
)
TOO_MANY_STREAMS = temporary(
    "too_many_streams",
    "Too many streams",
    "You already follow [{max}|too many] jobs.",
    "Close some of the streams; the operator can raise DARKROOM_MAX_STREAMS_PER_OWNER.",
    status=429,
)
TOO_MANY_WAITS = temporary(
    "too_many_waits",
    "Too many waiting requests",
    "Too many of your requests already wait for a job.",
    "Ask without waiting, or use a webhook; the operator can raise DARKROOM_MAX_WAITS_PER_OWNER.",
    status=429,
)
UNAUTHORIZED = permanent(
    "unauthorized",
    "Token missing or unknown",
    "A valid token is required.",
    "Send it as `Authorization: Bearer dk_…`; `darkroom token create NAME` makes one.",
    status=401,
)
UNKNOWN_MODEL = permanent(
    "unknown_model",
    "Unknown model",
    "There is no such model here.",
    "/v1/models lists the models; omit it to use the default.",
)
UNSUPPORTED_ENCODING = permanent(
    "unsupported_encoding", "Encoding not supported", "Send the body without Content-Encoding.", status=415
)
UNSUPPORTED_MEDIA_TYPE = permanent(
    "unsupported_media_type",
    "Media type not supported",
    "[Send {accepted}|This media type is not supported here].",
    status=415,
)
UPLOAD_IMAGE_TOO_LARGE = permanent(
    "upload_image_too_large",
    "Image too large",
    "This image is too large to be decoded[: it may have at most {limit}].",
    "Send a smaller image.",
)
UPLOAD_NOT_AN_IMAGE = permanent(
    "upload_not_an_image",
    "Upload is not an image",
    "[{unread} can only be read where Darkroom's extra {extra} is installed"
    "|An upload must be a valid PNG, JPEG, WebP, GIF, AVIF or HEIC file].",
    "Convert it to JPEG or PNG, and check that it is complete.",
)
UPLOAD_TOO_LARGE = permanent(
    "upload_too_large",
    "Upload too large",
    "An upload must be [at most {max}|smaller].",
    "Send a smaller file.",
    status=413,
)
USERS_DIFFER = permanent(
    "users_differ",
    "Two end users",
    "The request names more than one end user.",
    "Name one, in the header X-Darkroom-User, the header X-OpenWebUI-User-Id or the field user.",
)
URL_INVALID = permanent("url_invalid", "Address too long", "The address is too long.", status=414)

GATEWAY: dict[str, ErrorKind] = kinds_in(globals())
ALL_KINDS: dict[str, ErrorKind] = KINDS | GATEWAY
