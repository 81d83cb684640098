-- include: base/clock base/keys base/hash job/lease queue/queue breaker/breaker breaker/throttling
-- How many calls may be under way to a provider with one key. `gate:{g}:calls` has the calls, scored by when they are
-- given up, beside the places that are kept for jobs just woken. `:waiters` has the jobs that wait for a place.

local function calls_key(gate) return gate .. ':calls' end

local function call_name(id, fence, number) return id .. ':' .. fence .. ':' .. number end

-- Whether the maker of a call still holds its job; a kept place has no fence and lives by its time alone.
local function is_live(call)
  local id, fence = string.match(call, '^(.+):(%d+):%d+$')
  return not id or holds(id, fence)
end

-- How many more calls may be made; calls of lost leases are dropped before the limit stops any.
local function room(gate, most)
  local calls, limit = calls_key(gate), learned_limit(gate) or math.huge
  if most > 0 then limit = math.min(limit, most) end
  redis.call('ZREMRANGEBYSCORE', calls, '-inf', now)
  if redis.call('ZCARD', calls) >= limit then
    for _, call in ipairs(redis.call('ZRANGE', calls, 0, -1)) do
      if not is_live(call) then redis.call('ZREM', calls, call) end
    end
  end
  return limit - redis.call('ZCARD', calls)
end

-- Sends the first of those jobs that wait for nothing but a place; answers their ids, for their bells.
local function wake(gate, free)
  local woken, calls = {}, calls_key(gate)
  for _ = 1, 100 do
    local id = free >= 1 and redis.call('ZPOPMIN', gate .. ':waiters')[1]
    if not id then break end
    local job = read(job_key(id), 'state', 'gate')
    if job.state == 'running' then
      redis.call('HSET', job_key(id), 'gate', 'woken')  -- it has not given its slot back yet
    elseif job.gate == 'waits' and redis.call('ZREM', WAITING, id) == 1 then
      enqueue(id, 0)
      if free < math.huge then
        redis.call('ZADD', calls, now + 5000, id)
        redis.call('PEXPIRE', calls, GATE_LIFE)
      end
      free = free - 1
      table.insert(woken, id)
    end
  end
  return woken
end
