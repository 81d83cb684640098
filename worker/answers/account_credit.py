"""What a provider's error says about the money of its account."""

from __future__ import annotations

import re

from contract.errors.catalogue.provider import PROVIDER_CREDITS, PROVIDER_TOO_DEAR
from worker.answers.content_refusal import texts_in
from worker.answers.errors import ProviderError, Unusable
from worker.answers.untrusted_json import Json

_STATUSES = frozenset({0, 400, 402, 403, 429})  # 0: it stands in an answer that came with 200
_EMPTY = frozenset(
    (
        *("insufficient_quota", "insufficient_user_quota", "insufficient_balance", "insufficient_credits"),
        *("billing_hard_limit_reached", "billing_not_active", "pre_consume_token_quota_failed"),
    )
)
# OpenRouter reserves what the most tokens would cost; with fewer the same account can pay.
_TOO_DEAR = re.compile(r"fewer max_tokens|can only afford|tokens limit exceeded", re.IGNORECASE)
_NO_QUOTA = re.compile(r"\blimit: 0\b")


def of_account(error: dict[str, Json], status: int, message: str) -> ProviderError | None:
    """Tell an empty account, and one with too little for the most that a request may cost; None if it is neither."""
    if status == 402 and _TOO_DEAR.search(message):
        return Unusable(PROVIDER_TOO_DEAR, http_status=status, reason=message)
    if status not in _STATUSES:
        return None
    codes = {code.lower() for code in texts_in(error, "code", "type", "status", "error_type")}
    if codes & _EMPTY or ("resource_exhausted" in codes and _has_no_quota(error, message)):
        return Unusable(PROVIDER_CREDITS, http_status=status or 200, reason=message)
    return None


def _has_no_quota(error: Json, message: str) -> bool:
    """Tell a quota of Gemini that is used up for today, or was never there, from one of this minute."""
    return bool(_NO_QUOTA.search(message)) or any("perday" in name.lower() for name in texts_in(error, "quotaId"))
