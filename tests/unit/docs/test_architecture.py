"""The table "Where to look" has one row for each folder, and what a row names is in its folder."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
TABLE = (ROOT / "docs/explanation/architecture.md").read_text().partition("\n## Where to look\n")[2]
ROWS = re.findall(r"^\| `([\w/-]+)/` \| (.+) \|$", TABLE, re.MULTILINE)
NOT_OURS = {"__pycache__"}
# What a row names in backticks that is no file: commands, variables, packages, and what is in the root.
ELSEWHERE = re.compile(r"darkroom( \w+)?|make \w+|DARKROOM_\*|simulator|docker-compose\.yml")


def folders() -> set[str]:
    """List the packages, and the top folders of tests and docs."""
    roots = (ROOT / name for name in ("contract", "darkroom", "producer", "worker"))
    packages = {path.parent for root in roots for path in root.rglob("*.py")}
    tops = {path for top in ("tests", "docs") for path in (ROOT / top).iterdir() if path.is_dir()}
    kept = {path for path in packages | tops if path.name not in NOT_OURS}
    return {path.relative_to(ROOT).as_posix() for path in kept} | {"deploy", "contract/store/lua"}


def test_each_folder_has_one_row() -> None:
    rows = [folder for folder, _ in ROWS]
    assert sorted(folders() - {*rows}) == [], "folders without a row"
    assert sorted({*rows} - folders()) == [], "rows without a folder"
    assert len(rows) == len({*rows}), "two rows for one folder"


def test_what_a_row_names_is_in_its_folder() -> None:
    named = [(ROOT / folder / name, name) for folder, about in ROWS for name in re.findall(r"`([^`]+)`", about)]
    files = [path for path, name in named if not ELSEWHERE.fullmatch(name)]
    assert files
    assert [path.relative_to(ROOT).as_posix() for path in files if not path.exists()] == []


def test_no_line_of_the_table_is_something_else() -> None:
    lines = [line for line in TABLE.splitlines() if line.startswith("|")]
    assert len(lines) == len(ROWS) + 2, "a row without a folder"
