"""What a configuration may get wrong, in people's words: one constant for each error code."""

from __future__ import annotations

from contract import provider_specs
from contract.errors.kind import permanent

CONFIG_INVALID = permanent(
    "config_invalid",
    "Configuration not usable",
    "The configuration has problems[: {problems}].",
    "`darkroom config check` lists them all.",
)
MISSING_API_KEY = permanent(
    "missing_api_key",
    "API key missing",
    "Missing API key: configure [providers.{provider}.apiKey|the apiKey of the provider]; "
    "if it uses ${{VAR_NAME}}, check that the variable is visible to this process.",
)
SAVE_DIR_INVALID = permanent(
    "save_dir_invalid",
    "saveDir not usable",
    "tools.imageGeneration.saveDir must be a plain relative directory inside nanobot's media directory.",
)
UNKNOWN_PROVIDER = permanent(
    "unknown_provider",
    "Provider not supported",
    "[Only {configured} is configured here"
    f"|unsupported image generation provider '{{provider}}': use {provider_specs.names()}"
    f"|unsupported image generation provider: use {provider_specs.names()}].",
)
