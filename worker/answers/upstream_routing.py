"""What an aggregator means when it finds no upstream for a request, and which output models were found to give."""

from __future__ import annotations

import re

from contract.errors.catalogue.provider import BAD_MODEL, MODEL_EXCLUDED, REFERENCES_NOT_TAKEN
from worker.answers.errors import ProviderError, Unusable, WrongOutput

_OUTPUT = re.compile(r"output modalit", re.IGNORECASE)
_POLICY = re.compile(r"data policy|guardrail restrictions|privacy settings", re.IGNORECASE)
_NO_IMAGE_INPUT = re.compile(r"support (?:the requested )?(?:image input|input modalit)", re.IGNORECASE)

MOST_MODELS = 1000  # that are remembered


def of_no_upstream(status: int, message: str, code: str) -> ProviderError | None:
    """Tell why no upstream takes a request with a 404, where that is not a matter of the model's id.

    `code` is that of OpenRouter's `availability`, if there is one.
    """
    if code == "privacy_restricted" or (status == 404 and _POLICY.search(message)):
        return Unusable(MODEL_EXCLUDED, http_status=status, reason=message)
    if status != 404:
        return None
    if _OUTPUT.search(message):
        return WrongOutput(BAD_MODEL, http_status=status, reason=message)
    return Unusable(REFERENCES_NOT_TAKEN, http_status=status) if _NO_IMAGE_INPUT.search(message) else None


class Outputs:
    """Remembers, while this worker lives, which models give nothing but images."""

    def __init__(self) -> None:
        self._image_only: dict[tuple[str, str], bool] = {}

    def is_image_only(self, api_base: str, model: str, *, usually: bool) -> bool:
        """Tell what was found, or else what the provider's file says."""
        return self._image_only.get((api_base, model), usually)

    def note(self, api_base: str, model: str, *, image_only: bool) -> None:
        """Remember what worked."""
        if len(self._image_only) >= MOST_MODELS:
            self._image_only.clear()
        self._image_only[api_base, model] = image_only
