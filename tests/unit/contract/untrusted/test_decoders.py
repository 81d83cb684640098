"""Pictures are decoded in the sandbox's children only. Read from the syntax of the code."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[4]
CHILDREN = {"worker/sandbox/child.py", "producer/imaging/sandbox_child.py"}
DECODERS = {"inspect", "clean", "shrink", "convert"}


def decoders_in(path: Path) -> set[str]:
    """Name what a module imports to decode pictures with."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.ImportFrom(module="contract.untrusted.imaging.inspect"):
                found |= DECODERS & {alias.name for alias in node.names}
            case ast.ImportFrom(module="contract.untrusted.imaging"):
                found |= {alias.name for alias in node.names if alias.name == "inspect"}
            case ast.Import():
                found |= {alias.name for alias in node.names if alias.name == "contract.untrusted.imaging.inspect"}
    return found


def test_nothing_else_decodes_a_picture() -> None:
    modules = [path for package in ("contract", "producer", "worker") for path in (ROOT / package).rglob("*.py")]
    decoding = {path.relative_to(ROOT).as_posix() for path in modules if decoders_in(path)}
    assert len(modules) > 150
    assert decoding == CHILDREN
