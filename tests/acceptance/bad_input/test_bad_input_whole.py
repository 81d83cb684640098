"""The catalogue as a whole: every id has its test, and every code its page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from contract.errors.catalogue.table import KINDS
from tests.catalogues.bad_input.callers import STRANGERS
from tests.catalogues.bad_input.gateway import Gateway
from tests.catalogues.bad_input.paths import PATHS
from tests.catalogues.bad_input.requests import REQUESTS
from tests.catalogues.bad_input.uploads import UPLOADS

pytestmark = pytest.mark.real_redis
HERE = Path(__file__).parent
TESTS, DOCS = HERE.parents[1], HERE.parents[2] / "docs"
NOT_USED = {7, 14, 25, 37, 38, 46, 56, 57, 61, 65, 80, 87}  # numbers that the catalogue leaves out
LAST = 89
ELSEWHERE = {
    "B05": "unit/contract/artifacts/test_references.py",  # a race against one function: 10,000 rounds need no HTTP
    "B13": "unit/contract/settings/test_nanobot_config.py",  # saveDir comes from the configuration only
    "B74": "integration/store/test_fairness.py",  # the queue's own doing, with thousands of jobs
    "B77": "unit/contract/settings/test_environment.py",  # what is wrong with a configuration is told at the start
    "B78": "unit/contract/settings/test_nanobot_config.py",
    "B79": "unit/contract/settings/test_nanobot_config.py",
    "B82": "unit/worker/webhooks/test_dispatcher.py",  # receivers of webhooks are met by the worker
}


def test_every_row_of_the_catalogue_has_its_test() -> None:
    source = "\n".join(path.read_text() for path in HERE.glob("test_bad_input*.py"))
    named = {row for name in re.findall(r"def test_(\w+)", source) for row in re.findall(r"B\d\d", name)}
    rows = {f"B{number:02}" for number in range(1, LAST + 1) if number not in NOT_USED}
    told = named | {case.row for case in (*PATHS, *REQUESTS, *STRANGERS, *UPLOADS)}
    assert told | ELSEWHERE.keys() == rows
    assert told & ELSEWHERE.keys() == set()
    assert [path for path in ELSEWHERE.values() if not (TESTS / path).exists()] == []


@pytest.mark.parametrize("code", KINDS)
def test_every_code_has_its_page(code: str, gateway: Gateway) -> None:
    page = gateway.client.get(f"/problems/{code}")
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert f"<h1>{KINDS[code].title}</h1>" in page.text
    assert f"| `{code}` |" in (DOCS / "reference/errors.md").read_text()
