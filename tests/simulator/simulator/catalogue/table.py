"""The catalogue of misbehaviour: which rows a server can produce, and each of their variants as a step.

`CATALOGUE["P25"]["date"]` is a step for a call; a row's first variant is meant where none is named. `PORTS` names the
faults that come before a call can be read: connect to `await sim.port_of("accept_and_reset")`. The ids are those of
provider-misbehaviour.md. P01, P06 and P76 are not here: they are made by a name server or a certificate.
"""

from collections.abc import Iterator

from simulator.catalogue.answer_rows import BODY, PAYLOAD
from simulator.catalogue.link_rows import DOWNLOAD, LINK, MOOD, POLL
from simulator.catalogue.script import Step
from simulator.catalogue.status_rows import STATUS
from simulator.catalogue.wire_rows import BROKEN, CONNECT, SLOW

CATALOGUE: dict[str, dict[str, Step]] = {
    **CONNECT,
    **SLOW,
    **BROKEN,
    **STATUS,
    **BODY,
    **PAYLOAD,
    **DOWNLOAD,
    **LINK,
    **POLL,
    **MOOD,
}
PORTS: dict[str, tuple[str, ...]] = {
    "P02": ("refused",),
    "P03": ("never_accepts",),
    "P04": ("accept_and_close", "accept_and_reset"),
    "P07": ("never_handshakes", "tls_alert", "plain_http"),
    "P21": ("banner",),
}


def variants() -> Iterator[tuple[str, str]]:
    """Yield each row and variant, as `("P25", "date")`."""
    for row, steps in CATALOGUE.items():
        for name in steps:
            yield row, name
