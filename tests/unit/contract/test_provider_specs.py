"""The table of providers is the only one, and every provider has its row and its adapter."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from contract import provider_specs
from contract.errors.exceptions import Refused
from contract.provider_specs import DEFAULT, SPECS
from contract.settings import loader as settings_module
from contract.settings.nanobot_config import ProviderConfig
from producer.doctor import configuration
from tests.support.factories.configs import some_settings
from worker.providers.provider import headers
from worker.providers.registry import PROVIDERS

ROOT = Path(__file__).parents[3]
MAY_NAME_THEM = ("contract/provider_specs.py", "worker/providers/")
KEYLESS = replace(DEFAULT, name="echo", needs_key=False)


def test_the_table_and_the_registry_of_adapters_have_the_same_providers() -> None:
    assert list(PROVIDERS) == list(SPECS)
    assert [provider.spec for provider in PROVIDERS.values()] == list(SPECS.values())
    assert [spec.name for spec in SPECS.values()] == list(SPECS)


def test_no_other_module_lists_providers_or_their_addresses() -> None:
    theirs = {text for spec in SPECS.values() for text in (spec.name, spec.key_variable, spec.api_base, spec.model)}
    found = {
        path.relative_to(ROOT).as_posix()
        for package in ("contract", "producer", "worker")
        for path in (ROOT / package).rglob("*.py")
        if any(theirs & {text, *(word.strip(".,:;'`\"") for word in text.split())} for text in _texts(path))
    }
    assert [path for path in sorted(found) if not path.startswith(MAY_NAME_THEM)] == []


def _texts(path: Path) -> Iterator[str]:
    """Find the strings of a module, but no docstrings."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def test_providers_are_listed_in_words() -> None:
    *first, last = SPECS
    assert provider_specs.names() == f"{', '.join(first)} or {last}"
    assert provider_specs.names().startswith("openrouter")


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_a_row_makes_sense(spec: provider_specs.ProviderSpec) -> None:
    assert spec.api_base.startswith("https://")
    assert not spec.api_base.endswith("/")
    assert spec.timeout_s > 0
    assert spec.fast_quality is None or spec.fast_quality in spec.qualities


def test_a_provider_that_needs_no_key_is_asked_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (settings_module, configuration):
        monkeypatch.setattr(module, "SPECS", {**SPECS, KEYLESS.name: KEYLESS})
    settings = some_settings(providers={name: ProviderConfig() for name in (*SPECS, KEYLESS.name)})
    assert settings.provider(KEYLESS.name) == ProviderConfig()
    with pytest.raises(Refused) as refused:
        settings.provider(DEFAULT.name)
    assert refused.value.code == "missing_api_key"
    assert headers(ProviderConfig()) == {"Content-Type": "application/json"}
    assert headers(ProviderConfig(api_key=SecretStr("k")))["Authorization"] == "Bearer k"
    assert configuration._key(settings, KEYLESS.name, None).detail == "not needed"
