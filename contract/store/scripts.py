"""The Lua scripts of `contract/store/lua/`, each put together from what it includes and run by Redis in one step."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from itertools import takewhile
from typing import Any

from redis.asyncio import Redis

from contract.redis.client import reaching_redis
from contract.version import CONTRACT

LUA = files("contract.store") / "lua"
_INCLUDE = "-- include:"  # how the first lines of a script begin; names in `lua/include/` follow


class Scripts:
    """Scripts that are ready to run, by their names: `jobs/claim` is `contract/store/lua/jobs/claim.lua`."""

    def __init__(self, redis: Redis, names: Iterable[str]) -> None:
        self._scripts = {name: redis.register_script(script_text(name)) for name in names}

    async def run(self, name: str, *args: str | float) -> Any:
        """Run a script; its header lists the arguments and what it answers. Raises Unavailable."""
        async with reaching_redis():
            return await self._scripts[name](args=args)


def script_text(name: str) -> str:
    """Put a script together: the contract number, each include once and after its own includes, and the script."""
    texts: dict[str, str] = {}
    _collect(name, texts)
    return f"local CONTRACT = {CONTRACT}\n" + "".join(texts.values())


def includes(text: str) -> list[str]:
    """List the includes that the first lines of a script name."""
    lines = takewhile(lambda line: line.startswith(_INCLUDE), text.splitlines())
    return [name for line in lines for name in line.removeprefix(_INCLUDE).split()]


def _collect(name: str, texts: dict[str, str]) -> None:
    """Add a script to `texts`, and before it the includes that are not there yet."""
    text = _read(name)
    for included in includes(text):
        if f"include/{included}" not in texts:
            _collect(f"include/{included}", texts)
    texts[name] = text


@cache
def _read(name: str) -> str:
    return (LUA / f"{name}.lua").read_text("utf-8")
