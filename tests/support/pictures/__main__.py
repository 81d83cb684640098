"""Makes the files of `files` anew, and the table of them."""

from tests.support.pictures.table import FOLDER, PICTURES

HEAD = """# Made pictures

Made by `python -m tests.support.pictures`. A suite sends each one as a reference and as a provider's answer
(`tests/acceptance/references/test_made_pictures.py`), and expects this type of what is kept, or this error.

| file | what it is | as a reference | as an answer |
|---|---|---|---|
"""


def table() -> str:
    """Write what the folder holds."""
    rows = (
        f"| {name} | {made.what} | `{made.reference}` | `{made.answer}` |\n" for name, made in sorted(PICTURES.items())
    )
    return HEAD + "".join(rows)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.iterdir():
        path.unlink()
    for name, made in PICTURES.items():
        (FOLDER / name).write_bytes(made.make())
    (FOLDER / "README.md").write_text(table(), encoding="utf-8")
