"""Stands in for the image providers on loopback, and misbehaves in every way of the catalogue when told to.

`python -m simulator --port 0` starts it as a process; tests write `async with Simulator(seconds=0.05) as sim`
(`simulator.server.server`), with `tls=context` for a second port. A call that nobody spoke about succeeds.

Three ways to choose what happens to a call:

- `sim.script("P09 twice, then P25.date, then ok always", match="fox")`, or POST /__sim/script {"steps": …}. A text is
  `<kind>[.<variant>] [once|twice|<n> times|always]`, by commas or `then`. Steps may also be objects that carry options:
  `{"kind": "P08", "seconds": 0.5, "times": 2}`. `match` and `model` are texts in the call's prompt and model.
- the model name `sim/P09` or `sim/P09.variant`, for every call with it, in both dialects
- the prompt, for people: `[slow 8]`, `[fail]`, `[refuse]`, `[refuse after 8]`, `[2K times out]`

Kinds are the catalogue's rows (`simulator.catalogue.table.CATALOGUE[row][variant]`, the first variant is the default)
and the behaviours that they are made of (`simulator.catalogue.behaviour.BEHAVIOURS`). Options that most of them take:
`seconds`, `every`, `images`, `side` (pixels), `specimen` (a picture of `simulator.pictures.corpus.SPECIMENS`),
`label`, `spelling`, `headers`, `status`, `body`, `message` (with {key}, {prompt}, {url}), `download`, `outcome`,
`links`. Faults that come before a call can be read have ports of their own: `await sim.port_of("accept_and_reset")`,
or POST /__sim/port; `CATALOGUE`'s neighbour `PORTS` names them. `sim.die(seconds)`, or POST /__sim/die, resets every
new connection for a while.  What happened is in `sim.ledger`, `sim.visits` (polls, downloads, redirects followed),
`sim.connections`, `sim.max_parallel` and `sim.errors`, or GET /__sim/ledger; POST /__sim/reset forgets it.
"""
