-- Put between the prelude and the scripts of a gate, which is the way to one provider with one key. `gate:{g}` has what
-- throttling taught, and `:calls` the calls under way, scored by when they are given up, beside the places kept for jobs
-- just woken. `gate:{g}`, `gate:{g}:{m}` for a model, and `gate:{g}:{m}:{o}` for an owner's jobs on it are circuit breakers.
local GATE_LIFE = 86400000
local OWNER_LIFE = 3600000
local FALTERS_FOR = 300000  -- after an error that passed
local TO_OPEN = 5  -- failures in a row
local MOST_OF_JOB, MOST_OF_OWNER = 3, 2  -- of these, at most: more say nothing new

local BREAKERS = 'darkroom:breakers'  -- those that are open, by since when: where whoever asks finds them
local KEY, MODEL, OWNER = 1, 2, 3  -- whose calls a breaker stops

-- The breakers that this script has opened or closed, for the log: level, what, error code, milliseconds, owner.
local changes = {}

local function gate_key(name) return 'darkroom:gate:' .. name end

-- The order of events is counted, as many of them happen in one millisecond.
local function tick(gate) return redis.call('HINCRBY', gate, 'tick', 1) end

local function look_at(breaker, call, level)
  local found = redis.call('HMGET', breaker, 'open_until', 'code', 'probe', 'opened', 'since')
  return {
    key = breaker, open_until = tonumber(found[1]), code = found[2] or '', level = level,
    probe = found[3], is_probe = found[3] == call, opened = tonumber(found[4] or 0),
    since = found[1] and tonumber(found[5]),  -- when it was told to have opened
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

-- The breakers that a call of an owner to a model has to pass. What others' success has disproved meanwhile is forgotten.
local function breakers(gate, model, owner, call)
  local way = gate .. ':' .. model
  local own = way .. ':' .. owner
  local works, fails = redis.call('HGET', way, 'works'), redis.call('HGET', own, 'fails')
  if works and fails and tonumber(fails) < tonumber(works) then close(look_at(own, call, OWNER)) end
  return {look_at(gate, call, KEY), look_at(way, call, MODEL), look_at(own, call, OWNER)}
end

-- The limit that throttling has taught a gate; ten minutes without any and it is forgotten.
local function learned_limit(gate)
  local found = redis.call('HMGET', gate, 'learned', 'throttled_at')
  if is_number(found[1]) and is_number(found[2]) and found[2] + 600000 > now then return tonumber(found[1]) end
  redis.call('HDEL', gate, 'learned', 'throttled_at', 'good')
end

-- Whether whoever makes a call still holds its job; a kept place has no fence and lives by its time alone.
local function is_live(call)
  local id, fence = string.match(call, '^(.+):(%d+):%d+$')
  return not id or holds(id, fence)
end

-- How many more calls fit through a gate; calls of lost leases are dropped before it is full.
local function room(gate, most)
  local calls, limit = gate .. ':calls', learned_limit(gate) or math.huge
  if most > 0 then limit = math.min(limit, most) end
  redis.call('ZREMRANGEBYSCORE', calls, '-inf', now)
  if redis.call('ZCARD', calls) >= limit then
    for _, call in ipairs(redis.call('ZRANGE', calls, 0, -1)) do
      if not is_live(call) then redis.call('ZREM', calls, call) end
    end
  end
  return limit - redis.call('ZCARD', calls)
end

-- Sends the first of those that wait for nothing but a place; answers their ids, for their bells.
local function wake(gate, free)
  local woken = {}
  for _ = 1, 100 do
    local id = free >= 1 and redis.call('ZPOPMIN', gate .. ':waiters')[1]
    if not id then break end
    local job = redis.call('HMGET', job_key(id), 'state', 'gate')
    if job[1] == 'running' then
      redis.call('HSET', job_key(id), 'gate', 'woken')  -- it has not given its slot back yet
    elseif job[2] == 'waits' and redis.call('ZREM', WAITING, id) == 1 then
      enqueue(id, 0)
      if free < math.huge then
        redis.call('ZADD', gate .. ':calls', now + 5000, id)
        redis.call('PEXPIRE', gate .. ':calls', GATE_LIFE)
      end
      free = free - 1
      table.insert(woken, id)
    end
  end
  return woken
end
