"""A child process that eats all memory it can get."""

from typing import Any

from contract.untrusted.sandbox_process import Reply, serve


def eat(question: dict[str, Any], body: bytearray) -> Reply:
    """Take 2 GiB."""
    return {}, bytes(2**31)


if __name__ == "__main__":
    serve(eat)
