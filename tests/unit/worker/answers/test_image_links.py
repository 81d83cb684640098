"""Images in the words of an answer are told from mere links."""

from __future__ import annotations

import pytest

from worker.answers.image_links import images_in

LINK = "https://cdn.example/a.png"
DATA = "data:image/png;base64,iVBORw0KGgo="


@pytest.mark.parametrize(
    ("words", "images"),
    [
        (f"![fox]({LINK})", [LINK]),
        (f"> Done.\n\n![]( {LINK} )\n\n[Download]({LINK})", [LINK]),
        (f'![a fox [red]]({LINK} "a fox")', [LINK]),
        (f"![fox](<{LINK}>)", [LINK]),
        (f"[![fox]({LINK})](https://cdn.example/page)", [LINK]),
        ("![fox](https://x.example/a_(1).png?n=1&amp;m=2)", ["https://x.example/a_(1).png?n=1&m=2"]),
        (r"![fox](https://x.example/a\_b.png)", ["https://x.example/a_b.png"]),
        (f"![a]({LINK}) and ![b](HTTPS://x.example/b)", [LINK, "HTTPS://x.example/b"]),
        (f"![a]({LINK}) ![again]({LINK})", [LINK]),
        (f"<p><img\nalt='fox' src='{LINK}'/></p>", [LINK]),
        (f"<IMG src={LINK}>", [LINK]),
        (f" {LINK}?w=1#x \n", [f"{LINK}?w=1#x"]),
        (f"<{LINK}>", [LINK]),
        (DATA, [DATA]),
        (f"![fox]({DATA})", [DATA]),
        (f'Here: <img src="{DATA}">', [DATA]),
        (f"Your image: {DATA} Enjoy!", [DATA]),
        (f"```\n{DATA}\n```", [DATA]),
        (f"![a]({DATA}) ![b]({LINK})", [DATA]),  # what is here already
        ("![a](DATA:image/webp;name=x;BASE64,UklGR-_%2B)", ["DATA:image/webp;name=x;BASE64,UklGR-_%2B"]),
        ("data:;base64,iVBO\r\nRw0K\r\nGgo=\nEnjoy it", ["data:;base64,iVBO\r\nRw0K\r\nGgo="]),
    ],
)
def test_what_shows_an_image_is_one(words: str, images: list[str]) -> None:
    assert images_in(words) == images


@pytest.mark.parametrize(
    "words",
    [
        *("", "I cannot draw.", f"[fox]({LINK})", f"Look at {LINK}", f"{LINK} {LINK}", "https://cdn.example/page"),
        *(f"![fox] is not [here]({LINK})", f"\\![fox]({LINK})", f"! [fox]({LINK})", f"![fox] ({LINK})"),
        *("![fox](sandbox:/mnt/data/fox.png)", "![fox](/files/fox.png)", "![fox](file:///etc/passwd)", "![fox]()"),
        *(f"Write `![fox]({LINK})`.", f"```html\n<img src='{LINK}'>\n```", f"```\n![fox]({LINK})"),
        *("data:text/html;base64,PGI+", "data:application/pdf;base64,JVBERi0=", "data:image/svg+xml,<svg/>"),
        *(f"<image src='{LINK}'>", f"<img alt='x'> src='{LINK}'", f"<a href='{LINK}'>fox</a>"),
    ],
)
def test_what_only_names_an_image_is_none(words: str) -> None:
    assert images_in(words) == []


@pytest.mark.parametrize(
    "part",
    [
        *(
            "![",
            "](",
            "](https://",
            "![a](https://x",
            "](https://a(",
            "<img ",
            "<img src=https://x>",
            "`",
            "```a`",
            "[",
        ),
        *(
            "data:",
            "data:image/",
            "data:;a",
            "data:image/png;base64,",
            DATA + "\n",
            "A" * 76 + "\n",
            ".png",
            "https://",
        ),
    ],
)
def test_long_words_are_read_in_a_time_that_grows_with_them(part: str) -> None:
    """A regular expression that looked back would take hours here; a test may take ten seconds."""
    assert len(images_in(part * (1_000_000 // len(part)))) <= 1000
