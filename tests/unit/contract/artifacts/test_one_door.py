"""The media directory has one door: no other code knows where an artifact lies. Read from the syntax of the code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
PACKAGES = ("contract", "producer", "worker")
DOOR = "contract/artifacts/local_directory/"
BUILDERS = {
    "contract/settings/loader.py",  # where the directory is
    "contract/settings/artifact_storage.py",  # builds the store
    "producer/chat/factory.py",  # nanobot's own directory is a root of what it may name as a reference
}
DOORS = ("contract.artifacts.local_directory", "contract.artifacts.layout")
FOLDERS = {"inputs", "thumbnails", "generated"}


def reaches(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Find what names the media directory, or makes a path of what the store calls a locator."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr="media", value=ast.Name(id=str(name)) | ast.Attribute(attr=str(name))):
                if name.endswith("settings"):
                    yield node.lineno, "settings.media"
            case ast.Attribute(attr="save_dir"):
                yield node.lineno, "save_dir"
            case ast.Call(func=ast.Name(id="Path"), args=[ast.Attribute(attr="path"), *_]):
                yield node.lineno, "Path(….path)"
            case ast.BinOp(op=ast.Div(), right=ast.Constant(value=str(name))) if name in FOLDERS:
                yield node.lineno, f'/ "{name}"'
            case ast.ImportFrom(module=str(module)) if module.startswith(DOORS):
                yield node.lineno, f"import of {module}"


def found_in(path: Path) -> list[str]:
    name = path.relative_to(ROOT).as_posix()
    return [f"{name}:{line}: {what}" for line, what in reaches(ast.parse(path.read_text("utf-8")))]


def test_nothing_else_touches_a_path_of_the_media_directory() -> None:
    modules = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    others = [
        path
        for path in modules
        if not (name := path.relative_to(ROOT).as_posix()).startswith(DOOR) and name not in BUILDERS
    ]
    assert len(others) > 100
    hits = [hit for path in others for hit in found_in(path)]
    [checks_save_dir] = hits or [""]
    assert checks_save_dir.startswith("contract/settings/nanobot_config.py:"), hits
    assert checks_save_dir.endswith("import of contract.artifacts.layout"), hits


@pytest.mark.parametrize("builder", sorted(BUILDERS))
def test_each_exception_is_one(builder: str) -> None:
    assert found_in(ROOT / builder)


@pytest.mark.parametrize(
    "code",
    [
        "self._settings.media / name",
        "open(settings.media)",
        "settings.image.save_dir",
        "Path(image.path).read_bytes()",
        'home / "inputs"',
        "from contract.artifacts.local_directory.lookup import find_image",
    ],
)
def test_a_way_around_is_seen(code: str) -> None:
    assert list(reaches(ast.parse(code)))
