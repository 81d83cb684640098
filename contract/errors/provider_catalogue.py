"""What a provider can do to a job, in people's words."""

from __future__ import annotations

from contract.errors.kind import ErrorKind, permanent, temporary

PROVIDER: dict[str, ErrorKind] = {
    "answer_too_large": temporary(
        "Answer too large", "The answer from {provider} was too large.", "Ask for a smaller image size."
    ),
    "bad_api_base": permanent(
        "apiBase redirects", "apiBase of {provider} redirects; set the final address.", status=502
    ),
    "bad_image": temporary(
        "Damaged image", "{provider} returned a damaged image[ ({reason})].", "Try again, or use another model."
    ),
    "bad_model": permanent(
        "Model not available",
        "[Model '{model}'|The model] is not available at {provider}[: {reason}].",
        "Check the model's id; the operator sets it with tools.imageGeneration.model.",
        status=502,
    ),
    "bad_parameters": permanent(
        "Request not accepted",
        "{provider} does not accept [{field}={value}|this request: {reason}|this request].",
        "Try the default size and ratio, a shorter prompt or fewer references.",
        status=502,
    ),
    "content_refused": permanent(
        "Content refused",
        "{provider} refused this prompt or image[ ({reason})]. Change it and try again.",
        status=502,
    ),
    "image_repeated": temporary(
        "Same image again",
        "{provider} made the same image again[: {reason}].",
        "Ask for one image, or remove a fixed seed from extraBody.",
    ),
    "image_too_large": temporary(
        "Image too large", "The image from {provider} is larger than we decode.", "Ask for a smaller image size."
    ),
    "model_excluded": permanent(
        "Model excluded",
        "[Model '{model}'|The model] is excluded by the data policy or the guardrails of the {provider} account"
        "[: {reason}].",
        "Its owner can change them in the account's privacy settings, or choose another model.",
        status=502,
    ),
    "no_image": temporary(
        "No image",
        "The model answered without an image.[ {reason}.]",
        "Say more plainly what the picture shall show.",
    ),
    "provider_auth": permanent(
        "Key rejected",
        "The API key for {provider} was rejected. "
        "The owner must check [providers.{provider}.apiKey|the provider's apiKey].",
        status=502,
    ),
    "provider_bad_answer": temporary(
        "Unreadable answer",
        "{provider} sent an answer we could not read.",
        "Try again later; the operator should check apiBase and proxy.",
    ),
    "provider_credits": permanent(
        "No credit",
        "The [{provider} account|provider's account] has no credit left.",
        "Its owner can add some, or choose another model or provider.",
        status=502,
    ),
    "provider_down": temporary("Provider down", "{provider} is temporarily unavailable.", "Try again in some minutes."),
    "provider_error": temporary(
        "Provider error", "{provider} could not make the image.[ {reason}.]", "Try again later, or use another model."
    ),
    "provider_forbidden": permanent(
        "Key not allowed",
        "The API key for {provider} may not do this.[ {reason}.]",
        "Its owner must check its rights, limits and region, or choose another model.",
        status=502,
    ),
    "provider_interrupted": temporary("Answer cut off", "The answer from {provider} was cut off.", "Try again."),
    "provider_rate_limited": temporary(
        "Provider rate limit", "{provider} asks to wait[ {wait}]. Try later or use another provider."
    ),
    "provider_timeout": temporary(
        "Provider too slow",
        "{provider} did not answer in [{seconds} s|time]. "
        "Try a smaller image size, set quality to low, or retry later.",
        status=504,
    ),
    "provider_tls_failed": permanent(
        "Connection not secure",
        "Secure connection to {provider} failed (certificate).",
        "The operator must check apiBase, the proxy, and this machine's certificates and clock.",
        status=502,
    ),
    "provider_too_dear": permanent(
        "Too little credit",
        "The [{provider} account|provider's account] has too little credit for the most that this request may cost."
        "[ {reason}.]",
        "Set a lower max_tokens in the provider's extraBody, shorten the prompt, or add credit.",
        status=502,
    ),
    "provider_unreachable": temporary(
        "Provider unreachable", "Could not reach {provider}. Check the network or apiBase."
    ),
    "references_not_taken": permanent(
        "No reference images",
        "[Model '{model}'|The model] takes no reference images at {provider}.",
        "Leave them out, or choose a model that edits images.",
        status=502,
    ),
    "result_expired": temporary("Picture expired", "The picture expired before we could fetch it.", "Try again."),
    "result_unreachable": permanent(
        "Picture not fetched",
        "{provider} took the request, but its picture could not be fetched[ ({reason})]; it may have been billed.",
        "Look for it in the provider's account first, as to ask again is paid again; "
        "the operator should check network, proxy and apiBase.",
        status=502,
    ),
    "unsafe_url": permanent(
        "Link not opened",
        "The provider returned a link we will not open.",
        "Use another model or provider.",
        status=502,
    ),
    "unsupported_image": temporary(
        "Unsupported image",
        "{provider} returned something that is not an image of a kind we take.",
        "Use a model that makes PNG, JPEG, WebP or GIF.",
    ),
}
