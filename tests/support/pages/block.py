"""Every fenced block of README, CONTRIBUTING and docs, and how it is run: by its language, or by a row of the table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

ROOT = Path(__file__).parents[3]
FENCE = re.compile(r"^ *(```+|~~~+)(.*)$")
SERVICE = re.compile(r"^(darkroom up|nanobot gateway)\b", re.MULTILINE)


class How(StrEnum):
    """What is done with a block."""

    SHELL = "typed into the page's terminal"
    SERVICE = "run in a terminal of its own until it is stopped"
    PYTHON = "run as a fresh process"
    NODE = "saved as a module, for the shell block that runs it"
    CONFIG = "loaded as nanobot's config.json, by Darkroom and by nanobot"
    EXCHANGE = "sent, and the answer is compared"
    # The table's:
    NANOBOT = "run beside nanobot"
    REDIS = "given to a real redis-server"
    FETCHES = "run before, with the package registry"
    CI = "run by .ci/run, which runs this test"
    DOCKER = "read beside docker-compose.yml, as Docker's engine is needed"
    DRAWN = "not run: a drawing"
    STATES = "compared with the states of a job"
    REPORT = "not run: written by `make chaos-full`"


BY_LANGUAGE = {
    "sh": How.SHELL,
    "python": How.PYTHON,
    "javascript": How.NODE,
    "json": How.CONFIG,
    "http": How.EXCHANGE,
}
# Page, heading (* is any), how the block begins.
TABLE = {
    ("README.md", "Try it", "make demo"): How.CI,
    ("README.md", "Use it from your program", "pip install ."): How.FETCHES,
    ("docs/explanation/architecture.md", "States", "stateDiagram"): How.STATES,
    ("docs/howto/clients.md", "OpenAI's SDKs", "npm install"): How.FETCHES,
    ("docs/howto/nanobot.md", "With Darkroom inside nanobot", "darkroom up"): How.NANOBOT,
    ("docs/howto/nanobot.md", "With Darkroom inside nanobot", "nanobot gateway"): How.NANOBOT,
    ("docs/howto/nanobot.md", "Without installing anything", "export DARKROOM_TOKEN"): How.NANOBOT,
    ("docs/howto/operate.md", "Docker", "docker compose"): How.DOCKER,
    ("docs/howto/redis.md", "What Redis must be", "appendonly yes"): How.REDIS,
    ("docs/quickstart.md", "Where things are", "chat gateway ──"): How.DRAWN,
    ("docs/explanation/reliability.md", "*", ""): How.REPORT,
}

Row = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block of a page."""

    page: str
    heading: str
    line: int
    language: str
    text: str

    @property
    def name(self) -> str:
        """Tell where it stands."""
        return f"{self.page}:{self.line}"

    @property
    def slug(self) -> str:
        """Name the page in one word that no other page has."""
        return self.page.removesuffix(".md").replace("/", "-").lower()

    @property
    def row(self) -> Row | None:
        """Find the block's row of the table."""
        rows = [row for row in TABLE if row[0] == self.page and row[1] in ("*", self.heading)]
        return next((row for row in rows if self.text.startswith(row[2])), None)

    @property
    def how(self) -> How | None:
        """Tell how it is run; None is a block that nobody has thought of."""
        if self.row is not None:
            return TABLE[self.row]
        if self.language == "sh" and SERVICE.search(self.text):
            return How.SERVICE
        return BY_LANGUAGE.get(self.language)


def pages() -> list[str]:
    """Name README, CONTRIBUTING and all pages of docs."""
    docs = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))
    return ["README.md", "CONTRIBUTING.md", *docs]


def blocks(*pages_: str) -> list[Block]:
    """List the blocks of these pages, or of all, in their order."""
    return [block for page in pages_ or pages() for block in parse(page, (ROOT / page).read_text())]


def parse(page: str, text: str) -> Iterator[Block]:
    """Find the blocks of a page. A fence without an end is an error."""
    heading, opened, begin = "", "", 0
    language, kept = "", list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        fence = FENCE.match(line)
        if opened and fence and fence[1].startswith(opened) and not fence[2].strip():
            yield Block(page, heading, begin, language, "".join(f"{one}\n" for one in kept))
            opened = ""
        elif opened:
            kept.append(line)
        elif fence:
            opened, language, begin, kept = fence[1], fence[2].strip(), number, []
        elif line.startswith("#"):
            heading = line.lstrip("#").strip()
    assert not opened, f"{page}:{begin}: the block has no end"
