-- include: base/clock base/keys base/hash
-- Circuit breakers. `gate:{g}` is the way to one provider with one key: its breaker stops all calls with the key, that of
-- `gate:{g}:{m}` stops calls to a model, and that of `gate:{g}:{m}:{o}` stops an owner's calls to it.

local GATE_LIFE = DAY

local KEY, MODEL, OWNER = 1, 2, 3  -- whose calls a breaker stops

-- The breakers that this script has opened or closed, for the log: level, what, error code, milliseconds, owner.
local changes = {}

-- The order of events is counted, as many of them happen in one millisecond.
local function tick(gate) return redis.call('HINCRBY', gate, 'tick', 1) end

-- Reads a breaker as a call finds it.
local function look_at(breaker, call, level)
  local found = read(breaker, 'open_until', 'code', 'probe', 'opened', 'since')
  return {
    key = breaker, open_until = tonumber(found.open_until), code = found.code or '', level = level,
    probe = found.probe, is_probe = found.probe == call, opened = tonumber(found.opened or 0),
    since = found.open_until and tonumber(found.since),  -- when the log was told that it opened
  }
end

local function note_change(breaker, what, time)
  local owner = breaker.level == OWNER and string.match(breaker.key, '[^:]*$') or ''
  table.insert(changes, {breaker.level, what, breaker.code, time, owner})
end

local function close(breaker)
  if breaker.since then note_change(breaker, 'closed', now - breaker.since) end
  if breaker.open_until then redis.call('ZREM', BREAKERS, breaker.key) end
  redis.call('HDEL', breaker.key, 'open_until', 'code', 'probe', 'row', 'fails', 'since')
end

-- The breakers that a call of an owner to a model has to pass: of the key, the model and the owner. A series of failures
-- that others' success has disproved meanwhile is forgotten.
local function breakers(gate, model, owner, call)
  local way = gate .. ':' .. model
  local own = way .. ':' .. owner
  local works, fails = redis.call('HGET', way, 'works'), redis.call('HGET', own, 'fails')
  if works and fails and tonumber(fails) < tonumber(works) then close(look_at(own, call, OWNER)) end
  return {look_at(gate, call, KEY), look_at(way, call, MODEL), look_at(own, call, OWNER)}
end
