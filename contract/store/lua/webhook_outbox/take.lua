-- Takes webhooks that are due. Each is counted, and comes back by itself when its lease is over, unless it is settled.
-- Answers how many were looked at, then id, number of the try, host and fields for each.
-- ARGV: most to take, lease, most to look at, most to one host, then host, how many are under way there, …
despite_full_memory()
local most, lease, look, most_to_host = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local busy = {}
for i = 5, #ARGV, 2 do busy[ARGV[i]] = tonumber(ARGV[i + 1]) end

local function host_of(text)
  local ok, hook = pcall(cjson.decode, text)
  return ok and type(hook) == 'table' and type(hook.host) == 'string' and hook.host or ''
end

local due = redis.call('ZRANGEBYSCORE', 'darkroom:webhooks', '-inf', now, 'LIMIT', 0, look)
local taken, passed = {}, {}
for _, id in ipairs(due) do
  if #taken == most then break end
  local key = job_key(id)
  local text = redis.call('TYPE', key).ok == 'hash' and redis.call('HGET', key, 'webhook')
  local host = text and host_of(text)
  if not text then
    redis.call('ZREM', 'darkroom:webhooks', id)  -- its job is forgotten
  elseif (busy[host] or 0) >= most_to_host then
    table.insert(passed, id)
  else
    busy[host] = (busy[host] or 0) + 1
    redis.call('ZADD', 'darkroom:webhooks', now + lease, id)
    redis.call('HSET', key, 'webhook_state', 'pending')
    if not is_number(redis.call('HGET', key, 'webhook_tries')) then redis.call('HDEL', key, 'webhook_tries') end
    local try = redis.call('HINCRBY', key, 'webhook_tries', 1)
    table.insert(taken, {id, try, host, redis.call('HGETALL', key)})
  end
end
-- Nothing but busy hosts in sight: they let those behind them go before.
if #taken == 0 and #due == look then
  for _, id in ipairs(passed) do redis.call('ZADD', 'darkroom:webhooks', now + 1000, id) end
end
return {#due, unpack(taken)}
