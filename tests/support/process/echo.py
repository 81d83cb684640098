"""A child process that answers what it was asked."""

from typing import Any

from contract.untrusted.sandbox_process import Reply, serve


def echo(question: dict[str, Any], body: bytearray) -> Reply:
    """Say it again."""
    return question, bytes(body)


if __name__ == "__main__":
    serve(echo)
