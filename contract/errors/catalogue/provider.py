"""What a provider can do to a job, in people's words: one constant for each error code."""

from __future__ import annotations

from contract.errors.kind import permanent, temporary

ANSWER_ENCODED = temporary(
    "answer_encoded",
    "Answer compressed",
    "The answer from {provider} was compressed[ ({encoding})], which Darkroom does not ask for and does not unpack.",
    "The operator should turn compression off in the proxy or gateway behind apiBase.",
)
ANSWER_TOO_LARGE = temporary(
    "answer_too_large", "Answer too large", "The answer from {provider} was too large.", "Request a smaller image size."
)
BAD_API_BASE = permanent(
    "bad_api_base", "apiBase redirects", "apiBase of {provider} redirects; set the final address.", status=502
)
BAD_IMAGE = temporary(
    "bad_image",
    "Damaged image",
    "{provider} returned a damaged image[ ({reason})].",
    "Try again, or use another model.",
)
BAD_MODEL = permanent(
    "bad_model",
    "Model not available",
    "[Model '{model}'|The model] is not available at {provider}[: {reason}].",
    "Check the model's id; the operator sets it with tools.imageGeneration.model.",
    status=502,
)
BAD_PARAMETERS = permanent(
    "bad_parameters",
    "Request not accepted",
    "{provider} does not accept [{field}={value}|this request: {reason}|this request].",
    "Try the default size and ratio, a shorter prompt or fewer references.",
    status=502,
)
CONTENT_REFUSED = permanent(
    "content_refused",
    "Content refused",
    "{provider} refused this prompt or image[ ({reason})]. Change it and try again.",
    status=502,
)
IMAGE_REPEATED = temporary(
    "image_repeated",
    "Same image again",
    "{provider} made the same image again[: {reason}].",
    "Request one image, or remove a fixed seed from extraBody.",
)
IMAGE_TOO_LARGE = temporary(
    "image_too_large",
    "Image too large",
    "The image from {provider} is too large to be decoded.",
    "Request a smaller image size.",
)
MODEL_EXCLUDED = permanent(
    "model_excluded",
    "Model excluded",
    "[Model '{model}'|The model] is excluded by the data policy or the guardrails of the {provider} account"
    "[: {reason}].",
    "The account's owner can change its privacy settings, or choose another model.",
    status=502,
)
NO_IMAGE = temporary(
    "no_image",
    "No image",
    "The model answered without an image.[ {reason}.]",
    "Describe more plainly what the image should show.",
)
PROVIDER_AUTH = permanent(
    "provider_auth",
    "Key rejected",
    "The API key for {provider} was rejected. "
    "The owner must check [providers.{provider}.apiKey|the provider's apiKey].",
    status=502,
)
PROVIDER_BAD_ANSWER = temporary(
    "provider_bad_answer",
    "Unreadable answer",
    "{provider} sent an answer we could not read.",
    "Try again later; the operator should check apiBase and proxy.",
)
PROVIDER_CREDITS = permanent(
    "provider_credits",
    "No credit",
    "The [{provider} account|provider's account] has no credit left.",
    "The account's owner can add credit, or choose another model or provider.",
    status=502,
)
PROVIDER_DOWN = temporary(
    "provider_down", "Provider down", "{provider} is temporarily unavailable.", "Try again in a few minutes."
)
PROVIDER_ERROR = temporary(
    "provider_error",
    "Provider error",
    "{provider} could not make the image.[ {reason}.]",
    "Try again later, or use another model.",
)
PROVIDER_FORBIDDEN = permanent(
    "provider_forbidden",
    "Key not allowed",
    "The API key for {provider} may not do this.[ {reason}.]",
    "The key's owner must check its rights, limits and region, or choose another model.",
    status=502,
)
PROVIDER_INTERRUPTED = temporary(
    "provider_interrupted", "Answer cut off", "The answer from {provider} was cut off.", "Try again."
)
PROVIDER_RATE_LIMITED = temporary(
    "provider_rate_limited",
    "Provider rate limit",
    "{provider} asks to wait[ {wait}]. Try later or use another provider.",
)
PROVIDER_TIMEOUT = temporary(
    "provider_timeout",
    "Provider too slow",
    "{provider} did not answer in [{seconds} s|time]. Try a smaller image size, set quality to low, or retry later.",
    status=504,
)
PROVIDER_TLS_FAILED = permanent(
    "provider_tls_failed",
    "Connection not secure",
    "Secure connection to {provider} failed (certificate).",
    "The operator must check apiBase, the proxy, and this machine's certificates and clock.",
    status=502,
)
PROVIDER_TOO_DEAR = permanent(
    "provider_too_dear",
    "Too little credit",
    "The [{provider} account|provider's account] has too little credit for what this request may cost at most."
    "[ {reason}.]",
    "Set a lower max_tokens in the provider's extraBody, shorten the prompt, or add credit.",
    status=502,
)
PROVIDER_UNREACHABLE = temporary(
    "provider_unreachable", "Provider unreachable", "Could not reach {provider}. Check the network or apiBase."
)
REFERENCES_NOT_TAKEN = permanent(
    "references_not_taken",
    "No reference images",
    "[Model '{model}'|The model] takes no reference images at {provider}.",
    "Omit them, or choose a model that edits images.",
    status=502,
)
RESULT_EXPIRED = temporary(
    "result_expired", "Image expired", "The image expired before it could be fetched.", "Try again."
)
RESULT_UNREACHABLE = permanent(
    "result_unreachable",
    "Image not fetched",
    "{provider} accepted the request, but its image could not be fetched[ ({reason})]; it may have been billed.",
    "Look for it in the provider's account first: a new request is billed again. "
    "The operator should check network, proxy and apiBase.",
    status=502,
)
UNSAFE_URL = permanent(
    "unsafe_url",
    "Link not opened",
    "The provider returned a link we will not open.",
    "Use another model or provider.",
    status=502,
)
UNSUPPORTED_IMAGE = temporary(
    "unsupported_image",
    "Unsupported image",
    "{provider} returned something that is not an image in a supported format.",
    "Use a model that makes PNG, JPEG, WebP or GIF.",
)
