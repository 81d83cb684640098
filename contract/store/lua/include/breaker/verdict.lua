-- include: base/clock base/keys breaker/breaker
-- What a breaker makes of a call that has ended. `call` has: gate, begun (its tick), code (its error), open_ms, the names of
-- provider and model, and of_model, the breaker of its model.

local TO_OPEN = 5  -- failures in a row

local function open_for(breaker, call, time)
  local at = tick(call.gate)
  breaker.code = call.code
  -- Of an outage that stops everybody's calls to a model nothing is told for each owner; a probe that fails is no news.
  if not breaker.since and not (breaker.level == OWNER and call.of_model.open_until) then
    note_change(breaker, 'opened', time)
    redis.call('HSET', breaker.key, 'since', string.format('%.0f', now))
  end
  breaker.open_until = now + time
  redis.call('HSET', breaker.key, 'open_until', string.format('%.0f', now + time), 'code', call.code, 'opened', at,
    'fails', at, 'provider', call.provider, 'model', call.model)
  redis.call('ZREMRANGEBYSCORE', BREAKERS, '-inf', now - GATE_LIFE)
  redis.call('ZADD', BREAKERS, 'NX', now, breaker.key)
  redis.call('PEXPIRE', BREAKERS, GATE_LIFE)
end

-- Calls that were begun before a breaker opened say nothing new of what it opened for, also when it is closed again.
local function is_news(breaker, call)
  return breaker.is_probe or not (breaker.open_until or call.begun < breaker.opened)
end

-- Opens a breaker at once: the error says that no call can succeed.
local function trip(breaker, call)
  if is_news(breaker, call) then open_for(breaker, call, 4 * call.open_ms) end
end

-- A failure counts in a row of them, but of each source only the first ones.
local function fail(breaker, call, source, most_of_source)
  if not is_news(breaker, call) then return end
  if breaker.is_probe then return open_for(breaker, call, 2 * call.open_ms) end
  local row, times = {}, 0
  for word in string.gmatch(redis.call('HGET', breaker.key, 'row') or '', '%S+') do
    table.insert(row, word)
    if word == source then times = times + 1 end
  end
  if times < most_of_source then table.insert(row, source) end
  if #row >= TO_OPEN then return open_for(breaker, call, call.open_ms) end
  redis.call('HSET', breaker.key, 'row', table.concat(row, ' '), 'fails', tick(call.gate))
end

-- Closes a breaker after a sign of life; answers whether it is closed now: a late sign only lets a probe go at once.
local function live(breaker)
  if breaker.open_until and not breaker.is_probe then
    redis.call('HSET', breaker.key, 'open_until', string.format('%.0f', now))
    return false
  end
  close(breaker)
  return true
end

-- How many calls may pass some breakers: all, one to probe, or none.
local function passing(...)
  local many = math.huge
  for _, breaker in ipairs({...}) do
    local found = read(breaker.key, 'open_until', 'probe')
    if found.open_until then many = (tonumber(found.open_until) > now or found.probe) and 0 or math.min(many, 1) end
  end
  return many
end
