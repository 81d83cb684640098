"""What a request may get wrong, in people's words: one constant for each error code."""

from __future__ import annotations

from contract.errors.kind import permanent
from contract.image_size import MAX_SIDE, MIN_SIDE, SIZES

ARTIFACT_NOT_FOUND = permanent(
    "artifact_not_found",
    "No such image",
    "There is no such image.",
    "Check the id and the owner; an image is removed together with its job.",
    status=404,
)
ASPECT_RATIO_INVALID = permanent(
    "aspect_ratio_invalid",
    "Unknown aspect ratio",
    "aspect_ratio must be [one of: {allowed}|a known ratio such as 16:9].",
)
COUNT_OUT_OF_RANGE = permanent(
    "count_out_of_range",
    "Number of images out of range",
    "count must be between 1 and [{max} (maxImagesPerTurn)|maxImagesPerTurn].",
    "Request fewer images, or submit several jobs.",
)
CURSOR_INVALID = permanent(
    "cursor_invalid",
    "Cursor not usable",
    "cursor must be the `next` value of an earlier page.",
    "Omit it to start with the newest job.",
    status=400,
)
EVENT_ID_INVALID = permanent(
    "event_id_invalid",
    "Event id not usable",
    "An event id must be two numbers, such as 1795360073904-0.",
    "Omit it to follow the job from the beginning.",
    status=400,
)
FALLBACK_INVALID = permanent(
    "fallback_invalid", "Unknown kind of fallback", "fallback must be any, quality, size or none."
)
IDEMPOTENCY_KEY_INVALID = permanent(
    "idempotency_key_invalid",
    "Idempotency key not usable",
    "An idempotency key must have 1 to 255 printable characters.",
    status=400,
)
IDEMPOTENCY_KEY_FORGOTTEN = permanent(
    "idempotency_key_forgotten",
    "Idempotency key of a forgotten job",
    "A job with this idempotency key is over and no longer remembered. Its images are on disk; it is not made again.",
    "Use a new key to make it again.",
)
IDEMPOTENCY_KEY_REUSED = permanent(
    "idempotency_key_reused",
    "Idempotency key reused",
    "This idempotency key was already used for another request.",
    "Use a new key for a new request.",
)
IMAGE_SIZE_INVALID = permanent(
    "image_size_invalid",
    "Unknown image size",
    f"image_size must be {', '.join(SIZES)}, auto, or WIDTHxHEIGHT with sides of {MIN_SIDE} to {MAX_SIDE}.",
)
SIZE_CONTRADICTS_RATIO = permanent(
    "size_contradicts_ratio",
    "Size and ratio contradict each other",
    "The size [{size}|that was named] does not have the aspect ratio[ {ratio}].",
    "Name only one of the two, or a size of that shape.",
)
JOB_NOT_FOUND = permanent(
    "job_not_found",
    "No such job",
    "There is no such job.",
    "Check the id and the owner; ended jobs are removed after a while.",
    status=404,
)
NO_PREVIOUS_IMAGE = permanent(
    "no_previous_image",
    "No earlier image",
    "This conversation has no image yet, so there is none to edit.",
    "Make one first, or name an image by its id, or by its path where you may name paths.",
)
PROMPT_INVALID_CHARACTERS = permanent(
    "prompt_invalid_characters",
    "Prompt has characters that cannot be used",
    "The prompt contains NUL or broken Unicode.",
    "Remove these characters.",
)
PROMPT_REQUIRED = permanent("prompt_required", "Prompt missing", "Describe the image: the prompt must not be empty.")
PROMPT_TOO_LONG = permanent(
    "prompt_too_long", "Prompt too long", "The prompt must have [at most {max}|fewer] characters.", "Shorten it."
)
QUALITY_INVALID = permanent("quality_invalid", "Unknown quality", "quality must be low, medium or high.")
REFERENCE_HAS_LINKS = permanent(
    "reference_has_links",
    "Reference has further names",
    "Reference image rejected: it is a hard link, and its other names may lie outside the workspace.",
    "Copy the image into the workspace, or upload it.",
)
REFERENCE_INVALID = permanent(
    "reference_invalid",
    "Reference not usable",
    'A reference image must be a file path, an artifact id such as img_ab12cd34ef56, or "latest".',
)
REFERENCE_NEEDS_UPLOAD = permanent(
    "reference_needs_upload",
    "Reference must be uploaded",
    'Reference image rejected: name one of your images by its id (img_…), an upload by its id (up_…), or "latest".',
    "Upload an image of your own with POST /v1/uploads, and name the id from the answer.",
)
REFERENCE_NOT_A_FILE = permanent(
    "reference_not_a_file",
    "Reference is not a file",
    "A reference image must be a regular file.",
    "Give an image file, not a directory, a pipe or a device.",
)
REFERENCE_NOT_AN_IMAGE = permanent(
    "reference_not_an_image",
    "Reference is not an image",
    "Reference image rejected: [{unread} can only be read where Darkroom's extra {extra} is installed"
    "|it must be a valid PNG, JPEG, WebP, GIF, AVIF or HEIC file].",
    "Convert it to JPEG or PNG, and check that it is complete.",
)
REFERENCE_NOT_FOUND = permanent(
    "reference_not_found",
    "No such reference image",
    "Reference image rejected: you have no image with this id.",
    "Look the id up in the job that made the image. It expires with its job; the id of an upload expires by itself.",
)
REFERENCE_OUTSIDE_ROOTS = permanent(
    "reference_outside_roots",
    "Reference not allowed",
    "Reference image rejected: paths must be inside the workspace or nanobot media directory "
    "and must be valid image files.",
    "Copy the image into the workspace, or upload it.",
)
REFERENCE_TOO_LARGE = permanent(
    "reference_too_large",
    "Reference too large",
    "[{provider} does not accept reference images this large"
    "|A reference image may have at most {limit}|Reference images may have at most {total_mib} MiB together"
    "|The reference images are too large].",
    "Send fewer or smaller ones.",
)
REFERENCE_UNREADABLE = permanent(
    "reference_unreadable",
    "Reference not readable",
    "[There is no image file {path}|A reference image could not be read].",
    "Check that the file exists and that Darkroom's user may read it, or upload the image again.",
)
TIMEOUT_OUT_OF_RANGE = permanent(
    "timeout_out_of_range",
    "Time limit out of range",
    "[{field}|A time limit] must be [between 1 and {max} seconds|at least 1 second].",
    "The operator sets the maximum with DARKROOM_DEADLINE_SECONDS.",
)
TOO_MANY_REFERENCES = permanent(
    "too_many_references",
    "Too many references",
    "[At most {max} different reference images may be given|Too many reference images were given].",
    "Send fewer.",
)
TYPE_ERROR = permanent("type_error", "Wrong type", "[{field}|A field] has the wrong type[: {expected}].")
UNKNOWN_FIELD = permanent(
    "unknown_field", "Unknown field", "There is no [field {field}|such field][ (did you mean {suggestion}?)]."
)
WEBHOOK_SECRET_INVALID = permanent(
    "webhook_secret_invalid",
    "Webhook secret not usable",
    "webhook_secret must be whsec_ followed by the base64 of 24 to 64 bytes.",
    "Omit it to get a generated one, or use 32 random bytes.",
)
WEBHOOK_URL_FORBIDDEN = permanent(
    "webhook_url_forbidden",
    "Webhook address not allowed",
    "webhook_url must be an https address of the public Internet, on port 443 or 8443, without a user name"
    "[, of at most {max} characters].",
    "The operator can allow private receivers with DARKROOM_WEBHOOK_NETWORKS.",
)
