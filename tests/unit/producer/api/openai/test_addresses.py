"""OpenAI's addresses as clients write them, and which of ours they mean."""

from __future__ import annotations

import pytest

from producer.api.openai.addresses import Address, read_address

GENERATIONS = "/v1/images/generations"


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/v1/images/generations", Address(GENERATIONS)),
        ("/v1/images/generations/", Address(GENERATIONS)),
        ("/v1//images/generations", Address(GENERATIONS)),
        ("//v1/images//generations//", Address(GENERATIONS)),
        ("/images/generations", Address(GENERATIONS)),
        ("/v1/v1/images/generations", Address(GENERATIONS)),
        ("/openai/v1/images/generations", Address(GENERATIONS)),
        ("/openai/images/generations", Address(GENERATIONS)),
        ("/openai/deployments/gpt-image-1/images/generations", Address(GENERATIONS, "gpt-image-1")),
        ("/openai/deployments/a/b/images/edits", Address("/v1/images/edits", "a/b")),
        ("/openai/deployments/images/images/edits", Address("/v1/images/edits", "images")),
        ("/openai/deployments/a/images/generations/some-job", Address("/v1/images/generations/some-job", "a")),
        ("/openai/deployments/a/chat/completions", Address("/v1/chat/completions", "a")),
        ("/v1/models/", Address("/v1/models")),
        ("/models", Address("/v1/models")),
        ("/v1/models/google/gemini", Address("/v1/models/google/gemini")),
        ("/v1/responses", Address("/v1/responses")),
        ("/v1", None),
        ("/", None),
        ("", None),
        ("/v1/jobs", None),
        ("/v1/jobs/", None),
        ("/v1/artifacts//images/edits", None),
        ("/mcp", None),
        ("/images", None),
        ("/openai/deployments", None),
        ("/openai/deployments/a", None),
        ("/openai/deployments/images", None),
    ],
)
def test_addresses(path: str, found: Address | None) -> None:
    assert read_address(path) == found


@pytest.mark.timeout(2)
@pytest.mark.parametrize("path", ["/" * 32_000, "/v1" * 10_000, "/openai/deployments" + "/images" * 4000])
def test_a_long_one_costs_little(path: str) -> None:
    read_address(path)
