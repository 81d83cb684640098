"""What can be wrong with a config.json, and that each problem is told with its place and never with its value."""

import pytest

from contract.settings.loader import load_settings
from contract.settings.nanobot_config import MAX_CONFIG_BYTES
from tests.support.factories.configs import SECRET, Write, problems, with_image, with_provider


@pytest.mark.parametrize(
    ("options", "path", "says"),
    [
        ({"maxImagesPerTurn": 0}, "maxImagesPerTurn", "greater than or equal to 1"),
        ({"maxImagesPerTurn": 9}, "maxImagesPerTurn", "less than or equal to 8"),
        ({"max_images_per_turn": 99}, "maxImagesPerTurn", "less than or equal to 8"),
        ({"maxImagesPerTurn": "4"}, "maxImagesPerTurn", "valid integer"),
        ({"maxImagesPerTurn": True}, "maxImagesPerTurn", "valid integer"),
        ({"defaultAspectRatio": "16:0"}, "defaultAspectRatio", "must be one of"),
        ({"defaultImageSize": "8K"}, "defaultImageSize", "WIDTHxHEIGHT"),
        ({"enabled": "perhaps"}, "enabled", "boolean"),
        ({"model": ""}, "model", "at least 1"),
        ({"model": "a" * 201}, "model", "at most 200"),
        ({"model": "a/../b"}, "model", "pattern"),
        ({"model": "a\nb"}, "model", "pattern"),
        ({"provider": ["openrouter"]}, "provider", "string"),
        ({"saveDri": "x"}, "saveDri", "did you mean saveDir?"),
        ({"max_images_per_tun": 2}, "max_images_per_tun", "did you mean maxImagesPerTurn?"),
    ],
    ids=str,
)
def test_b78_a_bad_image_option_is_named(options: dict[str, object], path: str, says: str, config: Write) -> None:
    config(with_image(**options))
    assert says in problems()[f"tools.imageGeneration.{path}"]


@pytest.mark.parametrize(
    ("options", "path", "says"),
    [
        ({"apiBase": "http://169.254.169.254/v1"}, "apiBase", "must be an http(s) address"),
        ({"apiBase": f"https://user:{SECRET}@host/v1"}, "apiBase", "without user name"),
        ({"apiBase": f"https://:{SECRET}@host/v1"}, "apiBase", "without user name"),
        ({"apiBase": f"https://host/v1?key={SECRET}"}, "apiBase", "query"),
        ({"apiBase": "ftp://host"}, "apiBase", "must be an http(s) address"),
        ({"apiBase": "host/v1"}, "apiBase", "must be an http(s) address"),
        ({"apiBase": "https://host:port"}, "apiBase", "must be an http(s) address"),
        ({"apiBase": "https://["}, "apiBase", "must be an http(s) address"),
        ({"apiBase": 7}, "apiBase", "string"),
        ({"apiKey": [SECRET]}, "apiKey", "string"),
        ({"apiKey": f"{SECRET}é"}, "apiKey", "plain ASCII"),
        ({"extraHeaders": {"X-Title": "Böt"}}, "extraHeaders.X-Title", "plain ASCII"),
        ({"extraHeaders": {"X-A": "1\r\nX-B: 2"}}, "extraHeaders.X-A", "one line"),
        ({"extraHeaders": {"X A": "1"}}, "extraHeaders.X A.[key]", "pattern"),
        ({"extraBody": "quality=low"}, "extraBody", "dictionary"),
        ({"proxy": "socks5://host:1"}, "proxy", "must be an http(s) address"),
        ({"apiBse": "https://host"}, "apiBse", "did you mean apiBase?"),
    ],
    ids=str,
)
def test_b78_a_bad_provider_option_is_named(options: dict[str, object], path: str, says: str, config: Write) -> None:
    config(with_provider(**options))
    assert says in problems()[f"providers.openrouter.{path}"]


@pytest.mark.parametrize(
    "save_dir",
    [
        "/abs",
        "..",
        "a/../b",
        "",
        ".",
        "a\0b",
        "a\\b",
        "a" * 300,
        "é" * 150,
        "con",
        "CON.x",
        "-rf",
        "a.",
        "a//b",
        "a\nb",
    ],
    ids=ascii,
)
def test_b13_a_save_dir_that_is_no_plain_directory_is_refused(save_dir: str, config: Write) -> None:
    config(with_image(saveDir=save_dir))
    assert "plain relative directory" in problems()["tools.imageGeneration.saveDir"]


@pytest.mark.parametrize(
    ("there", "written"),
    [
        ("generated", "Generated"),
        ("caf\N{LATIN SMALL LETTER E WITH ACUTE}", "cafe\N{COMBINING ACUTE ACCENT}"),
        ("art/Made", "art/made"),
        ("\N{FULLWIDTH LATIN SMALL LETTER A}", "a"),
    ],
    ids=ascii,
)
def test_a_save_dir_that_looks_like_another_one_is_refused(there: str, written: str, config: Write) -> None:
    path = config(with_image(saveDir=written))
    (path.parent / "media" / there).mkdir(parents=True)
    assert f"the directory {there.rpartition('/')[2]!a} only" in problems()["tools.imageGeneration.saveDir"]
    (path.parent / "media" / written).mkdir(parents=True)
    assert load_settings().image.save_dir == written  # both are there: this one was meant


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{\n  "tools": {,}\n}', "line 2 column 13"),
        ("\ufeff{}", "BOM"),
        ("[]", "must be a JSON object"),
        ("7", "must be a JSON object"),
        ("", "line 1 column 1"),
        ("{} {}", "line 1 column 4"),
        ("[" * 200_000, "nested too deeply"),
        ('{"seed": ' + "9" * 5000 + "}", "cannot be read"),
        (" " * (MAX_CONFIG_BYTES + 1), "too large"),
    ],
    ids=["comma", "bom", "list", "number", "empty", "two", "nesting", "digits", "huge"],
)
def test_b78_a_broken_file_is_told_with_the_place(text: str, says: str, config: Write) -> None:
    path = config(text)
    assert says in problems()[str(path)]
