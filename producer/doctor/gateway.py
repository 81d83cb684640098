"""What the doctor says of the HTTP gateway."""

from __future__ import annotations

import json
from http.client import HTTPConnection, HTTPException

from contract.settings.environment import Environment
from producer.doctor.finding import Finding
from producer.doctor.versions import differing

GATEWAY_S = 5.0
MAX_ANSWER = 10_000
OTHER = "Set DARKROOM_PORT."


def check_gateway(env: Environment, url: str | None, installation: str) -> Finding:
    """Ask the gateway whether it could take a job, and whether it is of this installation; blocking."""
    address = url.partition("://")[2] if url else _own_address(env)
    connection = HTTPConnection(address, timeout=GATEWAY_S)
    try:
        connection.request("GET", "/readyz?verbose", headers={"Host": "localhost"})
        told = json.loads(connection.getresponse().read(MAX_ANSWER))
        wrong = [f"{name} {check['detail']}" for name, check in told["checks"].items() if not check["ok"]]
        theirs = told.get("installation") or ""
        build = differing(told.get("version"))
    except TimeoutError:
        return Finding("gateway", False, f"something at {address} does not answer in time", OTHER)
    except (ValueError, KeyError, TypeError, AttributeError, HTTPException):
        return Finding("gateway", False, f"something else answers at {address}", OTHER)
    except OSError:
        if url is None:
            return Finding("gateway", True, "is not running; `darkroom gateway` starts one")
        hint = "The stack restarts it; logs/gateway.log in its directory shows why it ended."
        return Finding("gateway", False, "is not running", hint)
    finally:
        connection.close()
    if theirs != installation and theirs and installation:
        return Finding(
            "gateway", False, f"the one at {address} belongs to another installation, with another Redis", OTHER
        )
    is_ready = told["ready"] is True
    hint = "" if is_ready else "Fix the problems listed; its log says more."
    where = f"answers at {address}"
    if url and env.port and not address.endswith(f":{env.port}"):
        where += f" and not at port {env.port}, which was taken when it started"
    return Finding("gateway", is_ready, ", ".join([where, *build, *wrong]), hint)


def _own_address(env: Environment) -> str:
    """Tell where a gateway with these settings is asked from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(env.host, env.host)  # noqa: S104 - read, not bound
    return f"[{host}]:{env.port}" if ":" in host else f"{host}:{env.port}"
