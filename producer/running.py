"""Where a running stack is, under the name that the gateway's side knows; see `contract/running.py`."""

from contract.running import Running, find_running

__all__ = ["Running", "find_running"]
