"""Fixtures of the worker's unit tests."""

import pytest

from tests.support.network.provider_transport import ProviderTransport


@pytest.fixture
def provider_transport(monkeypatch: pytest.MonkeyPatch) -> ProviderTransport:
    """What a provider says, in the place of httpx's sockets."""
    return ProviderTransport(monkeypatch)
