"""The index of the decisions lists every decision as its own file states it."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
DECISIONS = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
HEAD = re.compile(r"# (\d{4}) (.+)\n\n- Date: (\d{4}-\d\d-\d\d)\n- Status: (accepted|superseded|amended)(.*)\n\n\S")


def test_each_decision_has_one_row_of_the_index() -> None:
    rows = []
    for path in DECISIONS:
        head = HEAD.match(path.read_text())
        assert head, f"{path.name}: number, title, date, status"
        number, title, date, status, more = head.groups()
        assert path.name.startswith(f"{number}-")
        rows.append(f"| [{number}]({path.name}) | {date} | {title} | {status}{more} |")
    index = (ROOT / "docs/decisions/README.md").read_text()
    assert re.findall(r"^\| \[.*$", index, re.MULTILINE) == rows
    assert [row[3:7] for row in rows] == [f"{number:04d}" for number in range(1, len(rows) + 1)]
