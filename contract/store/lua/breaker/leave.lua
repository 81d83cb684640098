-- Frees a call's place, learns from how the call ended, and wakes waiting jobs; answers their ids, for their bells,
-- whether others' calls to this model have failed as well since a time, and what has changed.
-- ARGV: id, fence, gate, number, most calls or 0, open time, model, tick of the call, verdict, its error code or '', time,
-- whether this image has met an error that has passed, and the names of provider and model, for people
despite_full_memory()
local id, gate, most, open, model = ARGV[1], gate_key(ARGV[3]), tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local begun, verdict, since = tonumber(ARGV[8]), ARGV[9], tonumber(ARGV[11])
local calls, call = gate .. ':calls', id .. ':' .. ARGV[2] .. ':' .. ARGV[4]
local under_way = redis.call('ZCARD', calls)
if redis.call('ZREM', calls, call) == 0 then return {{}, 0, changes} end  -- it has left before, or was given up

local owner = redis.call('HGET', job_key(id), 'owner_digest') or ''
local key, way, own = unpack(breakers(gate, model, owner, call))
local is_life = verdict == 'good' or verdict == 'neutral' or verdict == 'throttled'
for _, breaker in ipairs({key, way, own}) do
  if breaker.is_probe then redis.call('HDEL', breaker.key, 'probe') end
end

local function open_for(breaker, time)
  local at = tick(gate)
  breaker.code = ARGV[10]
  -- Of an outage that stops everybody's calls to a model nothing is told for each owner; a probe that fails is no news.
  if not breaker.since and not (breaker.level == OWNER and way.open_until) then
    note_change(breaker, 'opened', time)
    redis.call('HSET', breaker.key, 'since', string.format('%.0f', now))
  end
  breaker.open_until = now + time
  redis.call('HSET', breaker.key, 'open_until', string.format('%.0f', now + time), 'code', ARGV[10], 'opened', at, 'fails', at,
    'provider', ARGV[13], 'model', ARGV[14])
  redis.call('ZREMRANGEBYSCORE', BREAKERS, '-inf', now - GATE_LIFE)
  redis.call('ZADD', BREAKERS, 'NX', now, breaker.key)
  redis.call('PEXPIRE', BREAKERS, GATE_LIFE)
end

-- Calls that were begun before a breaker opened say nothing new of what it opened for, also when it is closed again.
local function is_news(breaker) return breaker.is_probe or not (breaker.open_until or begun < breaker.opened) end

local function trip(breaker)
  if is_news(breaker) then open_for(breaker, 4 * open) end
end

-- A failure counts in a row of them, but of each source only the first ones.
local function fail(breaker, source, most_of_it)
  if not is_news(breaker) then return end
  if breaker.is_probe then return open_for(breaker, 2 * open) end
  local row, times = {}, 0
  for word in string.gmatch(redis.call('HGET', breaker.key, 'row') or '', '%S+') do
    table.insert(row, word)
    if word == source then times = times + 1 end
  end
  if times < most_of_it then table.insert(row, source) end
  if #row >= TO_OPEN then return open_for(breaker, open) end
  redis.call('HSET', breaker.key, 'row', table.concat(row, ' '), 'fails', tick(gate))
end

-- Answers whether a breaker is closed now: a late sign of life only lets a probe go at once.
local function live(breaker)
  if breaker.open_until and not breaker.is_probe then
    redis.call('HSET', breaker.key, 'open_until', string.format('%.0f', now))
    return false
  end
  close(breaker)
  return true
end

-- Notes who did something last, and when somebody else had before.
local function note(what, who)
  local last = redis.call('HMGET', way.key, what, what .. '_at')
  if last[1] and last[1] ~= who then redis.call('HSET', way.key, what .. '_before', last[2]) end
  redis.call('HSET', way.key, what, who, what .. '_at', string.format('%.0f', now))
end

local function others_have(what, who)
  local last = redis.call('HMGET', way.key, what, what .. '_at', what .. '_before')
  local at = last[1] and (last[1] ~= who and last[2] or last[3])
  return at and tonumber(at) >= since
end

-- An owner's failing jobs do not prove that the provider fails as long as it works for others.
local faltered_at = tonumber(redis.call('HGET', way.key, 'faltered_at') or 0)
local falters = verdict == 'bad' and (faltered_at + FALTERS_FOR > now or others_have('bad_owner', owner)
  or (others_have('bad_job', id) and not others_have('good_owner', owner)))

if verdict == 'key' then
  trip(key)
elseif is_life or verdict == 'model' or (verdict == 'bad' and key.is_probe) then
  live(key)  -- whatever else is wrong, the key was taken
end
local is_closed = false
if verdict == 'model' then
  trip(way)
elseif verdict == 'bad' then
  -- An error that nobody else meets is a matter of this job.
  local counts = falters or ARGV[10] ~= 'provider_error'
  if counts or way.is_probe then fail(way, owner, MOST_OF_OWNER) end
  if counts or own.is_probe then fail(own, id, MOST_OF_JOB) end
  note('bad_job', id)
  note('bad_owner', owner)
elseif is_life then
  local is_way_closed = live(way)
  is_closed = live(own) and is_way_closed
  note('good_owner', owner)
  if is_closed then redis.call('HSET', way.key, 'works', tick(gate)) end
  if ARGV[12] == '1' then redis.call('HSET', way.key, 'faltered_at', string.format('%.0f', now)) end
end
-- Throttling halves what is let through; it grows by one with each round of good calls.
local learned = learned_limit(gate)
local throttled_at = tonumber(redis.call('HGET', gate, 'throttled_at') or 0)
if verdict == 'throttled' and throttled_at + 1000 <= now then  -- those of the same moment say nothing new
  redis.call('HSET', gate, 'learned', math.max(1, math.floor(under_way / 2)), 'throttled_at', now, 'good', 0)
elseif verdict == 'good' and learned and redis.call('HINCRBY', gate, 'good', 1) >= learned then
  redis.call('HSET', gate, 'learned', learned + 1, 'good', 0)
  if learned + 1 >= 64 then redis.call('HDEL', gate, 'learned', 'throttled_at', 'good') end
end
redis.call('PEXPIRE', gate, GATE_LIFE)
redis.call('PEXPIRE', way.key, GATE_LIFE)
redis.call('PEXPIRE', own.key, OWNER_LIFE)

-- How many may come through a breaker: all, one to probe, or nobody.
local function passing(...)
  local many = math.huge
  for _, breaker in ipairs({...}) do
    local found = redis.call('HMGET', breaker.key, 'open_until', 'probe')
    if found[1] then many = (tonumber(found[1]) > now or found[2]) and 0 or math.min(many, 1) end
  end
  return many
end

-- Those that waited for the model wait only for a place now: all of them once it works, else one to probe.
local waiters, of_model = gate .. ':waiters', way.key .. ':waiters'
local many = passing(way, own)
if many == 1 then
  local first = redis.call('ZPOPMIN', of_model)
  if first[1] then redis.call('ZADD', waiters, first[2], first[1]) end
elseif is_closed then
  redis.call('ZUNIONSTORE', waiters, 2, waiters, of_model, 'AGGREGATE', 'MIN')
  redis.call('DEL', of_model)
end
redis.call('PEXPIRE', waiters, GATE_LIFE)
local free = verdict ~= 'throttled' and math.min(passing(key), room(gate, most)) or 0
return {wake(gate, free), falters and 1 or 0, changes}
