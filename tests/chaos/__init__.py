"""Throws trouble at a whole Darkroom and checks its promise: no accepted job is lost, none ends twice.

`python -m chaos` (with tests/ on the path; `make chaos`, `make chaos-full`) runs one campaign and prints its verdict in
Jepsen's words. A campaign is made from its seed: `orders` says what clients ask for, `provider` how the simulated
provider behaves, `storm` which fault comes when. `gateway` and worker processes (`crew`) live through it, each with a
link to Redis of its own (`proxy`). `witness` watches the files meanwhile; afterwards `evidence` is gathered and
`checker` judges it. `control` is what one would build without Darkroom: the checker must find its losses.
"""
