"""Why Redis cannot be used: the error of redis-py, put into words that worker, gateway, doctor and commands share.

Pure. What Redis itself said is not repeated, because it may name users and keys.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from redis.exceptions import AuthenticationError, InvalidResponse, NoPermissionError

START = "Start it with `darkroom up`, or set DARKROOM_REDIS_URL to a running Redis."
SCHEME = "The address must start with rediss:// if Redis uses TLS, otherwise with redis://."


@dataclass(frozen=True, slots=True)
class Cause:
    """What is wrong with Redis: `says` follows the word "Redis", `hint` tells what to do.

    What `lasts` stays until somebody changes something.
    """

    says: str
    hint: str
    lasts: bool = False
    is_full: bool = False


SILENT = Cause("does not answer in time", f"Check whether it is overloaded or behind a firewall. {SCHEME}")
UNKNOWN = Cause("does not answer", START)
FULL = Cause(
    "has used all the memory that it may use (maxmemory)",
    "Raise maxmemory, or keep ended jobs for less time (DARKROOM_RETENTION_SECONDS).",
    is_full=True,
)
ABSENT = Cause("does not answer: its socket does not exist", START)
NO_FILE = Cause(
    "cannot be reached: a file of certificates that its address names does not exist",
    "Fix ssl_ca_certs, ssl_certfile or ssl_keyfile in DARKROOM_REDIS_URL.",
)
CLOSED = Cause(
    "closes the connection",
    f"{SCHEME} If it wants a client certificate, name it there: ?ssl_certfile=/client.pem&ssl_keyfile=/key.pem. "
    f"{START}",
)
REFUSED = Cause("has refused a command", "The log has its message.")
NO_RIGHTS = Cause(
    "does not give this user the rights that Darkroom needs",
    "Give it the rights that docker-compose.yml lists for its users.",
    lasts=True,
)
OLD = Cause(
    "does not know a command that Darkroom needs",
    "Darkroom needs Redis 6.2 or newer, or Valkey, with no command renamed.",
    lasts=True,
)
CLUSTER = Cause(
    "is a Redis Cluster, which Darkroom does not support", "Use a single Redis, with replicas if you like.", lasts=True
)
REPLICA = Cause("is a replica, which takes no writes", "Set DARKROOM_REDIS_URL to the primary.")

# What Redis answers, by words that only this answer has; the first that is found counts.
_ANSWERS: tuple[tuple[str, Cause], ...] = (
    ("command not allowed when used memory", FULL),  # redis-py takes the OOM before it away
    ("command not allowed when used memory", FULL),
    ("unknown command", OLD),
    ("Unknown Redis command", OLD),
    ("user executing the script", NO_RIGHTS),
    ("ACL failure", NO_RIGHTS),
    ("NOPERM", NO_RIGHTS),
    (
        "without any password configured",
        Cause("has no password, but DARKROOM_REDIS_URL names one", "Remove it from DARKROOM_REDIS_URL.", lasts=True),
    ),
    (
        "username-password",
        Cause("rejects the user or the password", "Set the right ones in DARKROOM_REDIS_URL.", lasts=True),
    ),
    (
        "already authenticated",
        Cause("wants a password", "Write it into DARKROOM_REDIS_URL: redis://user:password@host.", lasts=True),
    ),
    (
        "Authentication required",
        Cause("wants a password", "Write it into DARKROOM_REDIS_URL: redis://user:password@host.", lasts=True),
    ),
    (
        "protected mode",
        Cause(
            "accepts no connections from other machines (protected mode)", "Give it a password, or let it listen here."
        ),
    ),
    ("Lua script attempted to access a non local key", CLUSTER),
    ("Hash slot not served", CLUSTER),
    ("CLUSTERDOWN", CLUSTER),
    ("CROSSSLOT", CLUSTER),
    ("DB index is out of range", Cause("has no database of that number", "Write /0 at the end.", lasts=True)),
    ("SELECT is not allowed in cluster mode", CLUSTER),
    ("read only replica", REPLICA),
    ("READONLY", REPLICA),
    ("MISCONF", Cause("cannot write to its disk", "Free space on Redis's disk; its log says more.")),
    ("unable to persist", Cause("cannot write to its disk", "Free space on Redis's disk; its log says more.")),
    ("number of clients", Cause("accepts no more clients (maxclients)", "Raise maxclients.")),
    ("loading the dataset", Cause("is still loading its data", "Wait until it has loaded it.")),
    ("Redis is busy", Cause("is busy with a script", "Wait, or end the script: SCRIPT KILL.")),
    ("good replicas", Cause("has fewer replicas than it must have to write", "Check its replicas.")),
    ("Connection closed by server", CLOSED),
    ("Connection reset", CLOSED),
)
# What went wrong before Redis could answer; the first that fits counts.
_TYPES: tuple[tuple[type[BaseException], Cause], ...] = (
    (ssl.SSLError, Cause("does not use TLS as this address requires", SCHEME)),
    (
        socket.gaierror,
        Cause("cannot be found: its host name is unknown", "Fix the host name in DARKROOM_REDIS_URL."),
    ),
    (
        AuthenticationError,
        Cause("denies access", "Set the right user and password in DARKROOM_REDIS_URL.", lasts=True),
    ),
    (NoPermissionError, NO_RIGHTS),
    (
        InvalidResponse,
        Cause("is not what answers at this address", f"Fix DARKROOM_REDIS_URL. {SCHEME}"),
    ),
    (TimeoutError, SILENT),
)
_TLS_HINT = "Give the certificate authority in the address: rediss://host:6379/0?ssl_ca_certs=/path/to/ca.pem."


def cause_of(error: BaseException | None) -> Cause:
    """Tell why Redis could not be used, by an error or those that led to it."""
    errors = list(_chain(error))
    texts = " / ".join(str(one) for one in errors)
    found = next((cause for words, cause in _ANSWERS if words in texts), None)
    found = found or next((cause for one in errors if (cause := _by_type(one))), UNKNOWN)
    return NO_FILE if found is ABSENT and "connecting to /" not in texts else found


def place_of(url: str) -> str:
    """Name where a URL leads, without its login."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return parts.path
    return parts.netloc.rpartition("@")[2] if parts.port else f"{parts.netloc.rpartition('@')[2].rstrip(':')}:6379"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """List an error and what it was raised from: redis-py wraps what was said while connecting."""
    for _ in range(10):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _by_type(error: BaseException) -> Cause | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate(error)
    found = next((cause for kind, cause in _TYPES if isinstance(error, kind)), None)
    return found or (_system(error) if isinstance(error, OSError) else None)


def _certificate(error: ssl.SSLCertVerificationError) -> Cause:
    if "mismatch" in str(error):
        return Cause("shows a certificate for another host name", "Use the name that its certificate has.")
    if "expired" in str(error):
        return Cause("shows a certificate that has expired", "Renew it.")
    return Cause("shows a certificate that is not trusted here", _TLS_HINT)


def _system(error: OSError) -> Cause | None:
    match error.errno:
        case errno.ECONNREFUSED:
            return Cause("does not answer: nothing listens there", START)
        case errno.ENOENT:
            return ABSENT
        case errno.EACCES | errno.EPERM:
            return Cause("does not answer: this user is not allowed to open its socket", "Run as a user that is.")
        case errno.EHOSTUNREACH | errno.ENETUNREACH:
            return Cause("does not answer: there is no route to its host", START)
    return None
