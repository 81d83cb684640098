"""The folder of made pictures: complete, described, and read as its table says."""

import pytest

from contract.untrusted.imaging.inspect import NotAnImage, adopt
from tests.support.factories.image_files import opened
from tests.support.pictures.__main__ import table
from tests.support.pictures.table import BAD, FOLDER, FOREIGN, PICTURES
from worker.sandbox.child import reply


def test_the_folder_holds_what_its_script_makes_and_says_what_it_is() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {*PICTURES, "README.md"}
    assert (FOLDER / "README.md").read_text("utf-8") == table()


@pytest.mark.parametrize("name", PICTURES)
def test_the_script_makes_the_same_once_more(name: str) -> None:
    made = PICTURES[name].make()
    if name.endswith(("gif", "png")):  # of others it depends on the version of an encoder
        assert made == (FOLDER / name).read_bytes()
    try:
        kept = adopt(made)[0].mime
    except NotAnImage:
        kept = ""
    assert kept == (PICTURES[name].reference if PICTURES[name].is_taken else "")


@pytest.mark.parametrize("name", PICTURES)
def test_a_worker_reads_it_as_the_table_says(name: str) -> None:
    found, data = reply("", bytearray((FOLDER / name).read_bytes()))
    expected = PICTURES[name].answer
    if expected in (BAD, FOREIGN):
        assert found["error"]["code"] == expected
        return
    assert (found["mime"], {found["width"], found["height"]}) == (expected, {96, 64})
    assert opened(data).width == found["width"]
