"""The names of Redis keys: all of Darkroom's begin alike. Those that scripts use are in `lua/include/keys.lua`."""

from __future__ import annotations

PREFIX = "darkroom:"
