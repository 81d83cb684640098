"""The catalogue's rows P71 to P85: links and downloads, polled tasks, moods and neighbourly headers."""

from simulator.catalogue.script import Step
from simulator.providers.openrouter_shapes import INLINE_PLACES, PLACES

METADATA_LINK = "http://169.254.169.254/latest/meta-data/"


def downloaded(how: str, **more: object) -> Step:
    """Return an answer with links to pictures of this server, which are served in that way."""
    return Step("url", {"download": how, **more})


def linked(*links: str) -> Step:
    """Return an answer with these links."""
    return Step("links", {"links": list(links)})


def polled(outcome: str, **more: object) -> Step:
    """Return a task to poll; a dialect without polling answers with a good picture at once."""
    return Step("ok", {"variant": "polling", "outcome": outcome, **more})


DOWNLOAD: dict[str, dict[str, Step]] = {
    "P71": {
        "good": downloaded("good"),
        **{name: downloaded("good", variant=name) for name in PLACES if name not in INLINE_PLACES},
    },
    "P72": {
        "404": downloaded("refused", status=404),
        "403": downloaded("refused", status=403),
        "410": downloaded("refused", status=410),
        "404_once": downloaded("refused", status=404, refusals=1),
        "503_twice": downloaded("refused", status=503, refusals=2),
        "503_long": downloaded("refused", status=503, refusals=9),
        "503": downloaded("refused", status=503),
        "401": downloaded("refused", status=401),
    },
    "P73": {
        "drip": downloaded("drip"),
        "hang": downloaded("hang"),
        "endless": downloaded("endless"),
        "petabyte": downloaded("claim"),
        "cut": downloaded("cut"),
        "reset": downloaded("reset"),
        "reset_once": downloaded("reset", refusals=1),
        "page": downloaded("page"),
        "page_twice": downloaded("page", pages=2),
        "wrong_type": downloaded("good", mime="text/html"),
        "octets": downloaded("good", mime="application/octet-stream"),
    },
    "P74": {
        "three_hops": downloaded("redirects", hops=3),
        "six_hops": downloaded("redirects", hops=6),
        "loop": downloaded("loop"),
        "downgrade": downloaded("redirect"),
        "no_location": downloaded("no_location"),
        "to_metadata": downloaded("redirect", location=METADATA_LINK),
        "to_file": downloaded("redirect", location="file:///etc/passwd"),
        "to_self": downloaded("redirect", location="{url}/__sim/ledger"),
        "to_userinfo": downloaded("redirect", location="https://example.com@127.0.0.1/"),
    },
}
LINK: dict[str, dict[str, Step]] = {
    "P75": {
        "metadata": linked(METADATA_LINK),
        "loopback": linked("https://127.0.0.1/a.png"),
        "localhost": linked("https://localhost/a.png"),
        "localhost_dot": linked("https://localhost./a.png"),
        "ipv6_loopback": linked("https://[::1]/a.png"),
        "private_10": linked("https://10.0.0.1/a.png"),
        "private_192": linked("https://192.168.1.1/a.png"),
        "alibaba_metadata": linked("http://100.100.100.200/latest/meta-data/"),
        "mapped": linked("https://[::ffff:127.0.0.1]/a.png"),
        "nat64": linked("https://[64:ff9b::a9fe:a9fe]/a.png"),
        "six_to_four": linked("https://[2002:7f00:1::]/a.png"),
        "hexadecimal": linked("https://0x7f.1/a.png"),
        "decimal": linked("https://2130706433/a.png"),
        "octal": linked("https://0177.1/a.png"),
        "circled": linked("https://①②⑦.0.0.1/a.png"),
        "zero": linked("https://0.0.0.0/a.png"),
        "shown_in_words": Step("links", {"links": [METADATA_LINK], "variant": "markdown"}),
        "shown_in_a_part": Step("links", {"links": [METADATA_LINK], "variant": "part_output_image"}),
        "own_port": linked("{url}/__sim/ledger"),
    },
    "P77": {
        "file": linked("file:///etc/passwd"),
        "ftp": linked("ftp://example.com/a.png"),
        "gopher": linked("gopher://127.0.0.1:6379/_FLUSHALL"),
        "javascript": linked("javascript:alert(1)"),
        "huge_data": Step("huge_link", {"megabytes": 100}),
        "backslashes": linked("http:\\\\example.com\\a.png"),
        "userinfo": linked("https://user:pass@example.com/a.png"),
        "port_22": linked("https://example.com:22/a.png"),
        "port_6379": linked("https://example.com:6379/a.png"),
        "port_25": linked("https://example.com:25/a.png"),
        "port_99999": linked("https://example.com:99999/a.png"),
        "homograph": linked("https://оpenrouter.ai/a.png"),
        "long": linked("https://example.com/" + "a" * 100_000),
        "newline": linked("https://example.com/a.png\r\nHost: evil"),
        "blank": linked("   "),
        "no_host": linked("https:///a.png"),
        "relative": linked("/etc/passwd"),
    },
}
POLL: dict[str, dict[str, Step]] = {
    "P79": {
        "processing": polled("processing"),
        "backwards": polled("backwards"),
        "unknown_status": polled("odd_status"),
        "unknown_status_for_ever": polled("processing", word="rendering_step_7"),
        "id_changes": polled("id_changes"),
        "empty": polled("empty"),
        "failed": polled("failed"),
        "moderated": polled("moderated"),
        "429": polled("refused", status=429, refusals=2, retry_after="1"),
        "503": polled("refused", status=503, refusals=2),
        "500": polled("refused", status=500, refusals=2),
        "404": polled("refused", status=404, refusals=1e9),
        "hang": polled("hang"),
        "page": polled("page"),
        "wrong_types": polled("wrong_types"),
        "completed": polled("succeeded", word="completed"),
        "ready_with_link": polled("sample"),
        "503_long": polled("refused", status=503, refusals=9, retry_after="0.1"),
        "503_for_ever": polled("refused", status=503, refusals=1e9),
        "504_once": polled("refused", status=504, refusals=1),
        "401_for_ever": polled("refused", status=401, refusals=1e9),
        "reset": polled("reset"),
        "canceled": polled("says", body={"id": "7", "status": "canceled", "output": None, "error": None}),
        "output_failed": polled("says", body={"output": {"task_status": "FAILED", "message": "Engine stopped"}}),
        "not_found": polled("says", body={"error": "Task not found"}),
        "expired": polled("says", body={"status": "Expired"}),
        "data_failed": polled("says", body={"code": "success", "data": {"status": "FAILURE", "fail_reason": "Died"}}),
        "500_with_a_poll": polled("succeeded", first_status=500),
        "504_with_a_poll": polled("succeeded", first_status=504),
    },
}
NEIGHBOUR_HEADERS = {
    "Set-Cookie": ["session=stolen; Path=/; HttpOnly", "__cf_bm=1; Domain=.example.com; Secure"],
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains; preload",
    "Alt-Svc": 'h3=":443"; ma=86400, h2="other.example:443"',
    "Link": "<https://evil.example/a.js>; rel=preload; as=script",
    "Content-Security-Policy": "default-src 'none'",
    "Clear-Site-Data": '"*"',
    "Refresh": "0; url=https://evil.example/",
    "Date": "Thu, 01 Jan 1970 00:00:00 GMT",
}
MOOD: dict[str, dict[str, Step]] = {
    "P81": {
        "flap": Step("flap"),
        "errors": Step("errors", {"rate": 0.3, "seed": 1}),
        "slow": Step("slow_for_a_while", {"factor": 10, "for": 60}),
        "brown_out": Step("brown_out", {"factor": 10, "for": 60}),
    },
    "P82": {
        "reset": Step("dead", {"for": 300}),
        "503": Step("dead", {"for": 300, "how": "status"}),
        "hang": Step("dead", {"for": 300, "how": "hang"}),
    },
    "P83": {
        "two_at_once": Step("limit", {"most": 2}),
        "with_retry_after": Step("limit", {"most": 2, "headers": {"Retry-After": "1"}}),
    },
    "P84": {"mix_up": Step("mix_up")},
    "P85": {"headers": Step("ok", {"headers": NEIGHBOUR_HEADERS})},
}
