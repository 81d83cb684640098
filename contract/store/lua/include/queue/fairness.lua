-- include: base/clock base/keys base/hash job/damage queue/queue
-- Fairness between owners: each has only some jobs ready, and the others are parked. Owners take turns.

local READY = 10  -- ready jobs of one owner at most: as many as there are priorities
local LAST_PRIORITY = 9
local ALIVE_MS = 60000  -- since a worker's last sign of life, which comes each second

-- An owner's jobs that are ready or running; the others of the active ones are parked.
local function in_play(owner)
  return redis.call('ZCARD', owner_key(owner, 'active')) - redis.call('ZCARD', owner_key(owner, 'parked'))
end

local all_slots = nil

-- How many jobs all workers that live run at a time, by what they told; it is looked up once for each script.
local function slots()
  if not all_slots then
    all_slots = 0
    local told = redis.call('HGETALL', SLOTS)
    for place = 1, #told, 2 do
      local seen = tonumber(redis.call('ZSCORE', WORKERS, told[place]) or 0)
      if seen > now - ALIVE_MS then all_slots = all_slots + (tonumber(told[place + 1]) or 0) end
    end
  end
  return all_slots
end

-- How many jobs of an owner may be in play, so that a slot is free when another owner comes: a part of the slots that
-- others leave. Few slots are not divided.
local function share(running)
  local left = slots() - (redis.call('ZCARD', RUNNING) - running)
  if slots() < 8 then return math.huge end
  return math.max(1, math.floor(left * 7 / 8))
end

-- Whether one more job of an owner may be ready; 'most' of them may be in play, 0 is any number.
local function has_room(owner, most)
  local playing, running = in_play(owner), redis.call('SCARD', owner_key(owner, 'running'))
  return playing - running < READY and (most == 0 or playing < most) and playing < share(running)
end

-- The more jobs an owner has in play, the later the next one is served.
local function next_priority(owner) return math.min(in_play(owner), LAST_PRIORITY) end

local function set_order(id, rank) redis.call('HSET', job_key(id), 'order', string.format('%.0f', rank * 1e13 + now)) end

-- Lets a queued job wait for room. Owners take turns: a job's turn is the one after its owner's last, and an
-- owner who had none parked joins the turn that is on now.
local function park(id, owner)
  local key, mine = job_key(id), owner_key(owner, 'parked')
  local first = redis.call('ZRANGE', PARKED, 0, 0, 'WITHSCORES')[2]
  local last = redis.call('ZREVRANGE', mine, 0, 0, 'WITHSCORES')[2]
  set_order(id, math.max(math.floor((first or 0) / 1e13), last and math.floor(last / 1e13) + 1 or 0))
  redis.call('HSET', key, 'state', 'queued', 'not_before', 0, 'bell_at', 0, 'bells', 0)
  local job = read(key, 'order', 'deadline')
  redis.call('ZADD', DEADLINES, job.deadline, id)
  redis.call('ZADD', PARKED, job.order, id)
  redis.call('ZADD', mine, job.order, id)
  redis.call('ZADD', BACKLOGS, 'NX', now, owner)
end

local function unpark(id, owner)
  redis.call('ZREM', PARKED, id)
  redis.call('ZREM', owner_key(owner, 'parked'), id)
  if redis.call('EXISTS', owner_key(owner, 'parked')) == 0 then redis.call('ZREM', BACKLOGS, owner) end
end

-- Makes an owner's next parked jobs ready while there is room; answers their ids, for their bells.
-- Their order counts from now, so that the rank among the ready ones is the order of service.
local function admit(owner)
  local admitted = {}
  for _ = 1, READY do
    local id = redis.call('ZRANGE', owner_key(owner, 'parked'), 0, 0)[1]
    if not id then break end
    local is_intact = intact(id)
    if is_intact and not has_room(owner, tonumber(redis.call('HGET', job_key(id), 'max_running') or 0)) then break end
    local priority = next_priority(owner)
    unpark(id, owner)
    if is_intact then
      redis.call('HSET', job_key(id), 'priority', priority)
      set_order(id, priority)
      enqueue(id, 0)
      table.insert(admitted, id)
    elseif redis.call('TYPE', job_key(id)).ok == 'hash' then
      condemn(id)
    else  -- its hash is gone
      redis.call('ZREM', owner_key(owner, 'active'), id)
    end
  end
  return admitted
end
