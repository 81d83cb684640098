"""Stands in for the image providers on loopback, so that Darkroom's whole path runs without a key.

`python -m simulator --port 0` starts it as a process; tests write `async with Simulator(seconds=0.05) as sim`
(`simulator.server`). A script queue or the prompt chooses what happens to a call; otherwise it succeeds.
"""
