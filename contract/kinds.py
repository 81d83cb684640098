"""Everything that can go wrong, in people's words: one line for each error code."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """One error code: its title, HTTP status, whether trying again may help, and its sentence."""

    title: str
    status: int
    retryable: bool
    sentence: str


KINDS: dict[str, Kind] = {
    # the request
    "aspect_ratio_invalid": Kind("Unknown aspect ratio", 422, False, "aspect_ratio must be one of: {allowed}."),
    "count_out_of_range": Kind(
        "Number of images out of range", 422, False, "count must be between 1 and {max} (maxImagesPerTurn)."
    ),
    "event_id_invalid": Kind("No such event", 400, False, "An event id is two numbers, as in 1795360073904-0."),
    "idempotency_key_invalid": Kind(
        "Idempotency key not usable", 400, False, "An idempotency key is 1 to 255 printable characters."
    ),
    "idempotency_key_reused": Kind(
        "Idempotency key reused", 422, False, "This idempotency key was already used for another request."
    ),
    "image_size_invalid": Kind(
        "Unknown image size",
        422,
        False,
        "image_size must be 512, 1K, 2K, 4K, auto, or WIDTHxHEIGHT with sides of 64 to 4096.",
    ),
    "job_not_found": Kind("No such job", 404, False, "There is no such job."),
    "no_previous_image": Kind(
        "No earlier image", 422, False, "This conversation has no image yet, so there is none to edit."
    ),
    "prompt_invalid_characters": Kind(
        "Prompt has characters that cannot be used", 422, False, "The prompt contains NUL or broken Unicode."
    ),
    "prompt_required": Kind("Prompt missing", 422, False, "Describe the image: the prompt must not be empty."),
    "prompt_too_long": Kind("Prompt too long", 422, False, "The prompt must have at most {max} characters."),
    "reference_invalid": Kind(
        "Reference not usable",
        422,
        False,
        'A reference image is a file path, an artifact id such as img_ab12cd34ef56, or "latest".',
    ),
    "reference_not_a_file": Kind("Reference is no file", 422, False, "A reference image must be a regular file."),
    "reference_not_an_image": Kind(
        "Reference is no image",
        422,
        False,
        "Reference image rejected: it must be a valid PNG, JPEG, WebP or GIF file.",
    ),
    "reference_outside_roots": Kind(
        "Reference not allowed",
        422,
        False,
        "Reference image rejected: paths must be inside the workspace or nanobot media directory "
        "and must be valid image files.",
    ),
    "reference_too_large": Kind(
        "Reference too large", 422, False, "Reference images may have {max_mib} MiB each, {total_mib} MiB together."
    ),
    "reference_unreadable": Kind("Reference not readable", 422, False, "A reference image could not be read."),
    "too_many_references": Kind("Too many references", 422, False, "At most {max} different reference images."),
    "type_error": Kind("Wrong type", 422, False, "{field} has the wrong type: {expected}."),
    "unknown_field": Kind("Unknown field", 422, False, "There is no field {field}.{suggestion}"),
    # the configuration
    "config_invalid": Kind("Configuration not usable", 422, False, "{problems}"),
    "missing_api_key": Kind(
        "API key missing",
        422,
        False,
        "Missing API key: configure providers.{provider}.apiKey; if it uses ${{VAR_NAME}}, check that the "
        "variable is visible to this process.",
    ),
    "save_dir_invalid": Kind(
        "saveDir not usable",
        422,
        False,
        "tools.imageGeneration.saveDir must be a plain relative directory inside nanobot's media directory.",
    ),
    "unknown_provider": Kind(
        "Provider not supported",
        422,
        False,
        "unsupported image generation provider {provider!r}: use openrouter or aihubmix.",
    ),
    # the queue
    "queue_full": Kind("Queue full", 503, True, "The queue is full. Try again in a minute."),
    "queue_unavailable": Kind(
        "Queue unavailable",
        503,
        True,
        "The job queue (Redis) does not answer. Nothing was lost; try again, or run `darkroom doctor`.",
    ),
    "too_many_jobs": Kind("Too many jobs", 429, True, "You have {max} unfinished jobs. Wait until some are done."),
    # the provider
    "answer_too_large": Kind("Answer too large", 502, True, "The answer from {provider} was too large."),
    "bad_api_base": Kind("apiBase redirects", 502, False, "apiBase of {provider} redirects; set the final address."),
    "bad_image": Kind("Damaged image", 502, True, "{provider} returned a damaged image."),
    "bad_model": Kind(
        "Model not available", 502, False, "Model '{model}' is not available at {provider}. Check the model's id."
    ),
    "bad_parameters": Kind("Request not accepted", 502, False, "{provider} does not accept this request: {reason}"),
    "content_refused": Kind(
        "Content refused", 502, False, "{provider} refused this prompt or image ({reason}). Change it and try again."
    ),
    "image_too_large": Kind("Image too large", 502, True, "The image is larger than we decode."),
    "no_image": Kind("No image", 502, True, "The model answered without an image. {reason}"),
    "provider_auth": Kind(
        "Key rejected",
        502,
        False,
        "The API key for {provider} was rejected. The owner must check providers.{provider}.apiKey.",
    ),
    "provider_bad_answer": Kind("Unreadable answer", 502, True, "{provider} sent an answer we could not read."),
    "provider_credits": Kind("No credit", 502, False, "The {provider} account has no credit left."),
    "provider_down": Kind("Provider down", 502, True, "{provider} is temporarily unavailable."),
    "provider_error": Kind("Provider error", 502, True, "{provider} could not make the image. {reason}"),
    "provider_forbidden": Kind("Key not allowed", 502, False, "The API key for {provider} may not do this. {reason}"),
    "provider_interrupted": Kind("Answer cut off", 502, True, "The answer from {provider} was cut off."),
    "provider_rate_limited": Kind(
        "Provider rate limit", 502, True, "{provider} asks to wait. Try later or use another provider."
    ),
    "provider_timeout": Kind(
        "Provider too slow",
        504,
        True,
        "{provider} did not answer in {seconds} s. Try a smaller image size, set quality to low, or retry later.",
    ),
    "provider_tls_failed": Kind(
        "Connection not secure", 502, False, "Secure connection to {provider} failed (certificate)."
    ),
    "provider_unreachable": Kind(
        "Provider unreachable", 502, True, "Could not reach {provider}. Check the network or apiBase."
    ),
    "result_expired": Kind("Picture expired", 502, True, "The picture expired before we could fetch it."),
    "unsafe_url": Kind("Link not opened", 502, False, "The provider returned a link we will not open."),
    "unsupported_image": Kind("Unsupported image", 502, True, "{provider} returned something that is not an image."),
    # the job
    "call_budget_spent": Kind(
        "Call budget spent", 502, False, "The job used all its provider calls without a picture."
    ),
    "deadline_passed": Kind("Time is up", 504, True, "The job was not finished in the time it had."),
    "internal_error": Kind(
        "Internal error", 500, True, "Something went wrong inside Darkroom; the log has the details."
    ),
    "storage_full": Kind(
        "Cannot store images",
        507,
        True,
        "The image could not be stored: is the disk full or the media directory read-only?",
    ),
    "worker_crashed": Kind("Worker crashed", 500, False, "Three workers crashed on this job, so it was stopped."),
}
