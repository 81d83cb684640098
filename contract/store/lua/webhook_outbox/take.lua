-- include: base/clock base/keys base/memory base/arguments base/hash
-- Takes webhooks that are due. Each is counted, and comes back by itself when its lease is over, unless it is settled.
--
-- Arguments:
--   most          integer  that are taken
--   lease_ms      integer  how long they are the taker's
--   look          integer  most that are looked at
--   most_to_host  integer  that may be under way to one host
--   most_of_owner integer  that may be under way for one owner
--   taking        text     used once: the same one, when its answer was lost, is answered again and not counted
--   then name, under_way, …  text, integer  `host <name>` and `owner <digest>`: what the taker delivers now
-- Answers: {looked, {id, number, host, hash}, …}
--   looked  how many were looked at
--   number  of the try, from 1
--   hash    the job hash as field, value, …
-- Touches: job:{id}, webhooks, taken:{taking}.
local most, lease_ms, look, most_to_host, most_of_owner, taking = unpack(ARGV, 1, 6)

despite_full_memory()
local busy = {}
for name, under_way in argument_pairs(7) do busy[name] = tonumber(under_way) end

local function host_of(text)
  local host = decoded(text).host
  return type(host) == 'string' and host or ''
end

local memory = 'darkroom:taken:' .. taking  -- what was taken so, as id, number, …

-- What was taken so before, unless its lease was over meanwhile and another one has taken it.
local function taken_before()
  local again, known = {}, redis.call('LRANGE', memory, 0, -1)
  for i = 1, #known, 2 do
    local id, try, key = known[i], known[i + 1], job_key(known[i])
    if redis.call('ZSCORE', WEBHOOKS, id) and redis.call('HGET', key, 'webhook_tries') == try then
      redis.call('ZADD', WEBHOOKS, now + lease_ms, id)
      table.insert(again, {id, tonumber(try), host_of(redis.call('HGET', key, 'webhook')), redis.call('HGETALL', key)})
    end
  end
  return {#known, unpack(again)}
end

if redis.call('EXISTS', memory) == 1 then return taken_before() end
local due = redis.call('ZRANGEBYSCORE', WEBHOOKS, '-inf', now, 'LIMIT', 0, look)
local taken, passed = {}, {}
for _, id in ipairs(due) do
  if #taken == tonumber(most) then break end
  local key = job_key(id)
  local text = redis.call('TYPE', key).ok == 'hash' and redis.call('HGET', key, 'webhook')
  local host = text and host_of(text)
  local to_host, of_owner = 'host ' .. (host or ''), 'owner ' .. (text and redis.call('HGET', key, 'owner_digest') or '')
  if not text then
    redis.call('ZREM', WEBHOOKS, id)  -- its job is forgotten
  elseif (busy[to_host] or 0) >= tonumber(most_to_host) or (busy[of_owner] or 0) >= tonumber(most_of_owner) then
    table.insert(passed, id)
  else
    for _, name in ipairs({to_host, of_owner}) do busy[name] = (busy[name] or 0) + 1 end
    redis.call('ZADD', WEBHOOKS, now + lease_ms, id)
    redis.call('HSET', key, 'webhook_state', 'pending')
    if not is_number(redis.call('HGET', key, 'webhook_tries')) then redis.call('HDEL', key, 'webhook_tries') end
    local try = redis.call('HINCRBY', key, 'webhook_tries', 1)
    table.insert(taken, {id, try, host, redis.call('HGETALL', key)})
    redis.call('RPUSH', memory, id, try)
  end
end
if #taken > 0 then redis.call('PEXPIRE', memory, lease_ms) end
-- Nothing but busy hosts and owners in sight: they let those behind them go before.
if #taken == 0 and #due == tonumber(look) then
  for _, id in ipairs(passed) do redis.call('ZADD', WEBHOOKS, now + 1000, id) end
end
return {#due, unpack(taken)}
