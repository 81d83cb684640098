"""Everything that can go wrong, in people's words: one entry for each error code, by what it concerns.

docs/failures.md is made from this page (`make docs`).
"""

from __future__ import annotations

import re

from contract import provider_specs
from contract.errors.gateway_catalogue import GATEWAY
from contract.errors.kind import ErrorKind, permanent, temporary
from contract.errors.provider_catalogue import PROVIDER
from contract.image_size import MAX_SIDE, MIN_SIDE, SIZES

REQUEST: dict[str, ErrorKind] = {
    "aspect_ratio_invalid": permanent(
        "Unknown aspect ratio", "aspect_ratio must be [one of: {allowed}|a known ratio such as 16:9]."
    ),
    "count_out_of_range": permanent(
        "Number of images out of range",
        "count must be between 1 and [{max} (maxImagesPerTurn)|maxImagesPerTurn].",
        "Ask for fewer images, or hand in several jobs.",
    ),
    "cursor_invalid": permanent(
        "No such place in the list",
        "A cursor is what the page before has answered.",
        "Leave it out to begin with the newest job.",
        status=400,
    ),
    "event_id_invalid": permanent(
        "No such event",
        "An event id is two numbers, as in 1795360073904-0.",
        "Leave it out to follow the job from its begin.",
        status=400,
    ),
    "fallback_invalid": permanent("Unknown kind of fallback", "fallback must be any, quality, size or none."),
    "idempotency_key_invalid": permanent(
        "Idempotency key not usable", "An idempotency key is 1 to 255 printable characters.", status=400
    ),
    "idempotency_key_reused": permanent(
        "Idempotency key reused",
        "This idempotency key was already used for another request.",
        "Use a new key for a new request.",
    ),
    "image_size_invalid": permanent(
        "Unknown image size",
        f"image_size must be {', '.join(SIZES)}, auto, or WIDTHxHEIGHT with sides of {MIN_SIDE} to {MAX_SIDE}.",
    ),
    "job_not_found": permanent(
        "No such job",
        "There is no such job.",
        "Check the id and whose job it is; ended jobs are forgotten after a while.",
        status=404,
    ),
    "no_previous_image": permanent(
        "No earlier image",
        "This conversation has no image yet, so there is none to edit.",
        "Make one first, or name an image by its path or id.",
    ),
    "prompt_invalid_characters": permanent(
        "Prompt has characters that cannot be used",
        "The prompt contains NUL or broken Unicode.",
        "Remove these characters.",
    ),
    "prompt_required": permanent("Prompt missing", "Describe the image: the prompt must not be empty."),
    "prompt_too_long": permanent(
        "Prompt too long", "The prompt must have [at most {max}|fewer] characters.", "Shorten it."
    ),
    "quality_invalid": permanent("Unknown quality", "quality must be low, medium or high."),
    "reference_invalid": permanent(
        "Reference not usable",
        'A reference image is a file path, an artifact id such as img_ab12cd34ef56, or "latest".',
    ),
    "reference_not_a_file": permanent(
        "Reference is no file",
        "A reference image must be a regular file.",
        "Name an image file, not a directory, a pipe or a device.",
    ),
    "reference_not_an_image": permanent(
        "Reference is no image",
        "Reference image rejected: it must be a valid PNG, JPEG, WebP or GIF file.",
        "Convert it to one of these, and check that it is whole.",
    ),
    "reference_not_found": permanent(
        "No such reference image",
        "Reference image rejected: you have no image with this id.",
        "Look it up in the job that made the image; ids are forgotten with their jobs, those of uploads after a while.",
    ),
    "reference_outside_roots": permanent(
        "Reference not allowed",
        "Reference image rejected: paths must be inside the workspace or nanobot media directory "
        "and must be valid image files.",
        "Copy the image into the workspace.",
    ),
    "reference_too_large": permanent(
        "Reference too large",
        "[{provider} does not accept reference images this large"
        "|Reference images may have {max_mib} MiB each, {total_mib} MiB together|The reference images are too large].",
        "Send fewer or smaller ones; their pixels count, too.",
    ),
    "reference_unreadable": permanent(
        "Reference not readable",
        "[There is no image file {path}|A reference image could not be read].",
        "Check that the file is there, and that Darkroom's user may read it.",
    ),
    "timeout_out_of_range": permanent(
        "Time limit out of range",
        "[{field}|A time limit] must be [between 1 and {max} seconds|at least 1 second].",
        "The operator sets the most with DARKROOM_DEADLINE_SECONDS.",
    ),
    "too_many_references": permanent(
        "Too many references",
        "[At most {max} different reference images may be given|Too many reference images were given].",
        "Leave some out.",
    ),
    "type_error": permanent("Wrong type", "[{field}|A field] has the wrong type[: {expected}]."),
    "unknown_field": permanent(
        "Unknown field", "There is no [field {field}|such field][ (did you mean {suggestion}?)]."
    ),
    "webhook_secret_invalid": permanent(
        "Webhook secret not usable",
        "webhook_secret must be whsec_ followed by the base64 of 24 to 64 bytes.",
        "Leave it out to have one made; or take 32 random bytes.",
    ),
    "webhook_url_forbidden": permanent(
        "Webhook address not allowed",
        "webhook_url must be an https address of the public Internet, on port 443 or 8443, without a user name"
        "[, of at most {max} characters].",
        "The operator can allow private receivers with DARKROOM_WEBHOOK_NETWORKS.",
    ),
}

CONFIGURATION: dict[str, ErrorKind] = {
    "config_invalid": permanent(
        "Configuration not usable",
        "The configuration has problems[: {problems}].",
        "`darkroom config check` lists them all.",
    ),
    "missing_api_key": permanent(
        "API key missing",
        "Missing API key: configure [providers.{provider}.apiKey|the apiKey of the provider]; "
        "if it uses ${{VAR_NAME}}, check that the variable is visible to this process.",
    ),
    "save_dir_invalid": permanent(
        "saveDir not usable",
        "tools.imageGeneration.saveDir must be a plain relative directory inside nanobot's media directory.",
    ),
    "unknown_provider": permanent(
        "Provider not supported",
        "[Only {configured} is configured here"
        f"|unsupported image generation provider '{{provider}}': use {provider_specs.names()}"
        f"|unsupported image generation provider: use {provider_specs.names()}].",
    ),
}

QUEUE: dict[str, ErrorKind] = {
    "budget_spent": temporary(
        "Budget spent",
        "What is left of your budget for today does not suffice for this request.",
        "Ask for fewer images, or wait for the next day (UTC); the operator can raise DARKROOM_BUDGET_USD_PER_DAY.",
        status=429,
    ),
    "queue_full": temporary(
        "Queue full",
        "The queue is full[: Redis {says}]. Try again in a minute.",
        "The operator can start more workers, raise DARKROOM_MAX_QUEUED, or give Redis more memory.",
        status=503,
    ),
    "queue_unavailable": temporary(
        "Queue unavailable",
        "The job queue (Redis) [{says}|does not answer]. Nothing was lost; try again, or run `darkroom doctor`.",
        status=503,
    ),
    "too_many_jobs": temporary(
        "Too many jobs",
        "You have [{max}|too many] unfinished jobs. Wait until some are done.",
        "Cancel some; the operator can raise DARKROOM_MAX_JOBS_PER_OWNER.",
        status=429,
    ),
    "too_many_uploads": temporary(
        "Too many uploads",
        "You keep [{max}|too many] uploaded images already. Use one of them again, or wait until some are forgotten.",
        "The operator can raise DARKROOM_MAX_UPLOADS_PER_OWNER.",
        status=429,
    ),
}

JOB: dict[str, ErrorKind] = {
    "call_budget_spent": permanent(
        "Call budget spent",
        "The job used all its provider calls without a picture.",
        "Its attempts say why; the operator can raise DARKROOM_CALLS_PER_IMAGE.",
        status=502,
    ),
    "deadline_passed": temporary(
        "Time is up",
        "The job was not finished in the time it had.",
        "Try a smaller image size, or give it more time.",
        status=504,
    ),
    "internal_error": temporary(
        "Internal error",
        "Something went wrong inside Darkroom; the log has the details.",
        "Report it with what the worker's log says of the job.",
        status=500,
    ),
    "job_unreadable": permanent(
        "Job cannot be read",
        "What is stored of this job is damaged, or a newer Darkroom has written it.",
        "The operator finds out with `darkroom doctor` and the log; then hand the job in anew.",
        status=500,
    ),
    "storage_full": temporary(
        "Cannot store images",
        "The image could not be stored: the disk may be full, or the media directory read-only.",
        "The operator must make room, or make the directory writable.",
        status=507,
    ),
    "worker_crashed": permanent(
        "Worker crashed",
        "Three workers crashed on this job, so it was stopped.",
        "The workers' logs say why; a smaller request may need less memory.",
        status=500,
    ),
}

KINDS: dict[str, ErrorKind] = REQUEST | CONFIGURATION | QUEUE | PROVIDER | JOB | GATEWAY

_CODE = re.compile(r"[a-z][a-z0-9_]{0,60}", re.ASCII)


def look_up(code: str) -> ErrorKind:
    """Find a code that was read from the job table; one that a newer version has added is told as such."""
    if code in KINDS:
        return KINDS[code]
    name = code if _CODE.fullmatch(code) else "unknown"
    return permanent(
        name.replace("_", " ").capitalize(),
        f"It failed with {name}, an error of a newer Darkroom that this version does not know.",
        "The operator should run the same version everywhere; `darkroom doctor` tells the versions.",
        status=502,
    )
