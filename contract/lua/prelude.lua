-- Prepended to every script: the clock, the keys, and the few moves that several scripts share.
-- All times are milliseconds of Redis's own clock. Nothing here reads a worker's clock.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local QUEUED = 'darkroom:queued'        -- ready jobs, scored by the order they are served in
local WAITING = 'darkroom:waiting'      -- queued jobs that must not start before their score
local RUNNING = 'darkroom:running'      -- running jobs, scored by the end of their lease
local DEADLINES = 'darkroom:deadlines'  -- queued jobs, scored by when they expire

local function job_key(id) return 'darkroom:job:' .. id end

local function owner_key(digest, what) return 'darkroom:owner:' .. digest .. ':' .. what end

local function list_key(priority)
  if tonumber(priority) == 0 then return 'darkroom:bells' end
  return 'darkroom:bells:' .. priority
end

-- Appends one line to the job's story and wakes whoever waits for it.
local function tell(id, event)
  local key = job_key(id) .. ':events'
  redis.call('XADD', key, 'MAXLEN', '~', 200, '*', 'at', now, 'event', event)
  redis.call('PUBLISH', 'darkroom:events', id)
end

-- Only the holder of the newest claim may write: a paused worker has an old fence.
local function holds(id, fence)
  local found = redis.call('HMGET', job_key(id), 'state', 'fence')
  return found[1] == 'running' and found[2] == fence
end

-- Redis refuses a script's first write when its memory is full, but not one that only takes away, and
-- none after it. All scripts but submit begin so: what was accepted can always be brought to its end.
local function despite_full_memory() redis.call('ZREM', RUNNING, '') end

-- Bells are taken from the right: a job that has run before does not wait behind the others again.
local function ring(id, message)
  local key = job_key(id)
  local found = redis.call('HMGET', key, 'priority', 'started_at')
  redis.call(found[2] and 'RPUSH' or 'LPUSH', list_key(found[1]), message)
  redis.call('HSET', key, 'bell_at', now)
  redis.call('HINCRBY', key, 'bells', 1)
end

-- Puts a job (back) into the queue, in the place of its first submission.
local function enqueue(id, not_before)
  local key = job_key(id)
  local found = redis.call('HMGET', key, 'order', 'deadline')
  redis.call('HSET', key, 'state', 'queued', 'not_before', not_before, 'bell_at', 0, 'bells', 0)
  redis.call('ZREM', RUNNING, id)
  redis.call('ZADD', DEADLINES, found[2], id)
  if not_before > now then
    redis.call('ZADD', WAITING, not_before, id)
  else
    redis.call('ZADD', QUEUED, found[1], id)
  end
end

-- Lets a job that its worker could not finish go before all that have not begun.
local function hurry(id)
  local key = job_key(id)
  redis.call('HSET', key, 'priority', 0, 'order', redis.call('HGET', key, 'created_at'))
end

-- The one way into a terminal state. A job that has images and ran out of luck has succeeded in part.
local function finish(id, state, failure)
  local key = job_key(id)
  local found = redis.call('HMGET', key, 'owner_digest', 'retention', 'images')
  if (state == 'failed' or state == 'expired') and tonumber(found[3]) > 0 then state = 'succeeded' end
  redis.call('HSET', key, 'state', state, 'ended_at', now, 'error', failure)
  for _, index in ipairs({QUEUED, WAITING, RUNNING, DEADLINES}) do redis.call('ZREM', index, id) end
  redis.call('ZREM', owner_key(found[1], 'active'), id)
  tell(id, cjson.encode({type = state}))
  if (redis.call('HGET', key, 'webhook') or '') ~= '' then redis.call('ZADD', 'darkroom:webhooks', now, id) end
  redis.call('PEXPIRE', key, found[2])
  redis.call('PEXPIRE', key .. ':events', found[2])
  return state
end

-- A gate is the way to one provider with one key. Its hash has the state of the breaker and the learned limit, and
-- `:calls` the calls under way, scored by when they are given up, beside the places kept for jobs just woken.
local GATE_LIFE = 86400000
local function gate_key(name) return 'darkroom:gate:' .. name end

-- The limit that throttling has taught a gate; ten minutes without any and it is forgotten.
local function learned_limit(gate)
  local found = redis.call('HMGET', gate, 'learned', 'throttled_at')
  if found[1] and found[2] + 600000 > now then return tonumber(found[1]) end
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
