"""Where other gateways that speak chat completions put their pictures: in parts, fields and words."""

from collections.abc import Callable

from simulator.providers.openrouter_shapes import choice, completion
from simulator.providers.order import Order
from simulator.server.connection import JsonObject

LINE = 76


def _base64(link: str) -> str:
    return link.partition(",")[2]


def _parts(part: Callable[[str], JsonObject], name: str = "content") -> Callable[[Order, list[str]], JsonObject]:
    """Make an answer whose message has a part in words and one for each picture."""
    words = {"type": "text", "text": "Here you are: [more](https://example.com/more.png)"}
    return lambda order, links: completion(
        order, [choice({"role": "assistant", "content": None, name: [words, *map(part, links)]})]
    )


def _fields(make: Callable[[list[str]], JsonObject]) -> Callable[[Order, list[str]], JsonObject]:
    """Make an answer whose message has further fields."""
    return lambda order, links: completion(order, [choice({"role": "assistant", "content": "", **make(links)})])


def _words(write: Callable[[str], str]) -> Callable[[Order, list[str]], JsonObject]:
    """Make an answer that shows its pictures in words."""
    return lambda order, links: completion(
        order, [choice({"role": "assistant", "content": "\n\n".join(map(write, links))})]
    )


def _wrapped(link: str) -> str:
    head, _, text = link.partition(",")
    lines = "\n".join(text[at : at + LINE] for at in range(0, len(text), LINE))
    return f"Here it is.\n\n![fox]({head},{lines})\n\nEnjoy!"


# Each takes data URLs or links.
PLACES: dict[str, Callable[[Order, list[str]], JsonObject]] = {
    "part_image_url": _parts(lambda link: {"type": "image_url", "image_url": {"url": link}}),
    "part_image_url_text": _parts(lambda link: {"type": "image_url", "image_url": link}),
    "part_output_image": _parts(lambda link: {"type": "output_image", "image_url": link}),
    "part_image": _parts(lambda link: {"type": "image", "image": link}),
    "part_markdown": _parts(lambda link: {"type": "text", "text": f"![fox]({link})"}),
    "markdown": _words(lambda link: f'Here it is:\n\n![A fox [red]]({link} "fox")\n\n[Download]({link})'),
    "markdown_in_angles": _words(lambda link: f"![fox](<{link}>)"),
    "html": _words(lambda link: f'<p><img alt="fox" src="{link}"></p>'),
    "alone": _words(lambda link: link),
}
# Each takes data URLs alone.
INLINE_PLACES: dict[str, Callable[[Order, list[str]], JsonObject]] = {
    "part_b64_json": _parts(lambda link: {"type": "output_image", "b64_json": _base64(link)}),
    "part_source": _parts(
        lambda link: {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": _base64(link)},
        }
    ),
    "part_inline_data": _parts(
        lambda link: {"inline_data": {"mime_type": "image/png", "data": _base64(link)}}, "multi_mod_content"
    ),
    "images_b64_json": _fields(lambda links: {"images": [{"b64_json": _base64(link)} for link in links]}),
    "message_b64_json": _fields(lambda links: {"b64_json": _base64(links[0])}),
    "choice_b64_json": lambda order, links: completion(
        order, [choice({"role": "assistant", "content": ""}, b64_json=_base64(links[0]))]
    ),
    "data_b64_json": lambda order, links: {
        "created": 1,
        "data": [{"b64_json": _base64(link)} for link in links],
        "usage": {"cost": 0.04},
    },
    "markdown_lines": _words(_wrapped),
    "words_around": _words(lambda link: f"Your image: {link} Enjoy!"),
}
PLACES |= INLINE_PLACES
