"""The repository stays readable: no folder holds many modules, no product module or function is long."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST_MODULES = 12  # in a folder, without __init__.py
MOST_LINES = 300  # in a module of the product
MOST_LINES_OF_FUNCTION = 40


def modules(*folders: str) -> list[Path]:
    """List the modules in these folders and below."""
    return [path for folder in folders for path in (ROOT / folder).rglob("*.py")]


PRODUCT = [*ROOT.glob("*.py"), *modules("contract", "producer", "worker")]
OTHERS = modules("deploy", "docs", "tests")


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Tell each function's name and its number of lines."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{path.relative_to(ROOT)}::{node.name}", (node.end_lineno or 0) - node.lineno + 1


def test_no_folder_holds_many_modules() -> None:
    counts = Counter(path.parent.relative_to(ROOT) for path in PRODUCT + OTHERS if path.name != "__init__.py")
    assert counts.total() > 500  # it looks at the repository
    assert {str(folder): count for folder, count in counts.items() if count > MOST_MODULES} == {}


def test_no_product_module_is_long() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in PRODUCT}
    assert {module: lines for module, lines in lengths.items() if lines > MOST_LINES} == {}


def test_no_product_function_is_long() -> None:
    lengths = dict(function for path in PRODUCT for function in functions(path))
    assert len(lengths) > 1000  # it reads functions
    assert {function: lines for function, lines in lengths.items() if lines > MOST_LINES_OF_FUNCTION} == {}
