"""Every link between our pages leads to a file, and to a heading of it; what they name in code is there, too."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = [path for path in (ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")) if path.exists()]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
FENCE = re.compile(r"^ *(```|~~~).*?^ *\1", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s#]*)(?:#([^)\s]+))?\)")
NAMED = re.compile(r"`((?:contract|producer|worker|tests|docs|deploy)/[\w./@-]+)")
ECHO = {"worker/providers/echo.py", "tests/unit/worker/providers/test_echo.py"}
TO_BE_WRITTEN = {"docs/howto/add-a-provider.md": ECHO | {"tests/simulator/simulator/providers/echo.py"}}


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    """Name the headings as GitHub does."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    wrong = []
    for name, anchor in LINK.findall(FENCE.sub("", page.read_text())):
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(f"{name}#{anchor}" if anchor else name)
    assert wrong == []


@pytest.mark.parametrize("page", [name for name in map(name_of, PAGES) if name != "CHANGELOG.md"])
def test_files_that_a_page_names_are_there(page: str) -> None:
    """The provider of add-a-provider.md is the reader's; CHANGELOG names what there was."""
    named = NAMED.findall((ROOT / page).read_text())
    assert {name for name in named if not (ROOT / name).exists()} == TO_BE_WRITTEN.get(page, set())


def test_there_are_links_and_names() -> None:
    assert sum(len(LINK.findall(page.read_text())) for page in PAGES) > len(PAGES)
    assert sum(len(NAMED.findall(page.read_text())) for page in PAGES) > len(PAGES)
