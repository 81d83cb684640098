"""Throws trouble at a whole Darkroom and checks its promise: no accepted job is lost, none ends twice.

`python -m tests.chaos` (`make chaos`, `make chaos-full`) runs one campaign and prints its verdict in Jepsen's words. A
campaign is made from its seed: `arena.orders` says what clients ask for, `arena.provider` how the simulated provider
behaves, `arena.storm` which fault comes when. `arena.gateway` and worker processes (`arena.crew`) live through it, each
with a connection to Redis of its own (`tests.support.network.proxy`). `arena.witness` watches the files meanwhile;
afterwards `verdict.evidence` is gathered and `verdict.checker` judges it. `plain_celery` is what one would build
without Darkroom: the checker must find its losses.
"""
