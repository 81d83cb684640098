"""The Lua scripts as texts: their headers are true, and each has just the includes that it needs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from contract.store import keys
from contract.store.scripts import LUA, includes, script_text
from tests.support.lua_globals import global_names

FILES = {str(path.relative_to(str(LUA)).with_suffix("")): path.read_text() for path in Path(str(LUA)).rglob("*.lua")}
INCLUDES = sorted(name.removeprefix("include/") for name in FILES if name.startswith("include/"))
SCRIPTS = sorted(name for name in FILES if not name.startswith("include/"))
MOST_LINES = 120

COMMENT = re.compile(r"--.*")
TEXT = re.compile(r"'[^']*'")
UNPACKED = re.compile(r"^local ([\w,\s]+?) = unpack\(ARGV(?:, 1, (\d+))?\)$", re.MULTILINE)
LISTED = re.compile(r"^--   (\w+) +(?:text|integer|JSON|0 or 1) ", re.MULTILINE)
PAIRS = re.compile(r"^--   then \w+, \w+, …  ", re.MULTILINE)
REST = re.compile(r"argument_pairs\((\d+)\)|unpack\(ARGV, (\d+)\)")
RECORD = re.compile(r"\blocal (\w+) = (?:\w+ and )?read(?:_damaged)?\(([^\n]*(?:,\n[^\n]*)*)\)")
DEFINED = re.compile(r"^local (?:function (\w+)|(\w+(?:, \w+)*) =)", re.MULTILINE)
USED = re.compile(r"(?<![\w.:])([A-Za-z_]\w*)\b(?!\s*=[^=])")
KEY = re.compile(r"(?:redis\.p?call\('\w+', |^local [A-Z]+ = |_key\([^)]*\) return )'([^']+)'", re.MULTILINE)
ANSWER = re.compile(r"\breturn \{?'(\w+)'|\band '(\w+)' or '(\w+)'")
KNOWN = frozenset(
    (
        *("ARGV", "cjson", "ipairs", "math", "pairs", "pcall", "redis"),
        *("string", "table", "tonumber", "tostring", "type", "unpack"),
    )
)


def code(text: str) -> str:
    """Leave the comments of a script out, and what is in quotes."""
    return TEXT.sub("''", COMMENT.sub("", text))


def names(*groups: str) -> set[str]:
    return {name for group in groups for name in re.findall(r"\w+", group)}


def defined(name: str) -> set[str]:
    """What an include has for those that include it."""
    return names(*("".join(match) for match in DEFINED.findall(code(FILES[f"include/{name}"]))))


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_header_lists_the_arguments_that_the_script_unpacks(name: str) -> None:
    arguments, _, answers = FILES[name].partition("-- Arguments:")[2].partition("-- Answers:")
    unpacked = UNPACKED.findall(FILES[name])
    listed = LISTED.findall(arguments)
    assert arguments
    assert "\n-- Touches:" in answers
    assert [name.strip() for names, _ in unpacked for name in names.split(",")] == listed
    rest = {int(number) for match in REST.findall(FILES[name]) for number in match if number}
    assert rest == ({len(listed) + 1} if PAIRS.search(arguments) else set())
    assert {int(last) for _, last in unpacked if last} == ({len(listed)} if rest and listed else set())


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_header_lists_what_the_script_answers(name: str) -> None:
    _, _, text = FILES[name].partition("-- Answers:")
    answers, _, body = text.partition("-- Touches:")
    given = {word for match in ANSWER.findall(COMMENT.sub("", body)) for word in match if word}
    assert given - set(re.findall(r"\w+", answers)) == set()


@pytest.mark.parametrize("name", FILES)
def test_neither_arguments_nor_fields_are_known_by_numbers(name: str) -> None:
    text = code(FILES[name])
    assert re.findall(r"ARGV\[\d+\]|found\[\d+\]", text) == []
    if name not in ("include/base/arguments", "include/base/hash"):
        assert re.findall(r"ARGV\[|'?HMGET", FILES[name]) == []


@pytest.mark.parametrize("name", FILES)
def test_a_record_has_the_fields_that_are_asked_of_it(name: str) -> None:
    text = COMMENT.sub("", FILES[name])
    for record, asked in RECORD.findall(text):
        if "unpack" in asked or ".." in asked.partition(",")[2]:
            continue
        fields = set(re.findall(r"'(\w+)'", asked.partition(",")[2]))
        assert fields, asked
        used = set(re.findall(rf"(?<![\w.]){record}\.(\w+)", text))
        everywhere = {
            field for other, more in RECORD.findall(text) if other == record for field in re.findall(r"'(\w+)'", more)
        }
        assert used <= everywhere
        assert fields <= used


@pytest.mark.parametrize("name", FILES)
def test_a_script_includes_what_it_uses_and_nothing_else(name: str) -> None:
    used = set(USED.findall(code(FILES[name])))
    assert [included for included in includes(FILES[name]) if not defined(included) & used] == []
    assert global_names(script_text(name)) <= KNOWN


def test_each_include_is_there_and_is_used() -> None:
    assert sorted({included for text in FILES.values() for included in includes(text)}) == INCLUDES


@pytest.mark.parametrize("name", FILES)
def test_an_include_comes_once_and_after_its_own_includes(name: str) -> None:
    text = script_text(name)
    places = {other: text.find(FILES[other]) for other in FILES if FILES[other] in text}
    assert all(text.count(FILES[other]) == 1 for other in places)
    for other in places:
        assert all(places[f"include/{included}"] < places[other] for included in includes(FILES[other]))


@pytest.mark.parametrize("name", FILES)
def test_a_script_is_short(name: str) -> None:
    body = [line for line in FILES[name].splitlines() if line and not line.startswith("--")]
    assert len(body) <= MOST_LINES


def test_keys_have_their_prefix_and_are_what_python_calls_them() -> None:
    used = [key for text in FILES.values() for key in KEY.findall(text)]
    assert len(used) > 20
    assert [key for key in used if not key.startswith(keys.PREFIX)] == []
    named = dict(re.findall(r"^local ([A-Z]+) = '([^']+)'", FILES["include/base/keys"], re.MULTILINE))
    shared = {name: key for name, key in vars(keys).items() if name in named}
    assert len(shared) > 8
    assert {name: named[name] for name in shared} == shared


def test_a_name_that_nothing_declares_is_found_however_deep_it_stands() -> None:
    text = "local a = b\nlocal function f(x) return function() return x + c.d + 0.5 end end\nif f(a) then E = nil end"
    assert global_names(text) == {"b", "c", "E"}
