-- Writes what a try to deliver a webhook came to: delivered, failed for good, or pending and when it is tried again.
-- A try whose lease was over changes nothing, as another one is under way, except that what was delivered was.
-- ARGV: id, number of the try, state, wait
despite_full_memory()
local id, key, state = ARGV[1], job_key(ARGV[1]), ARGV[3]
local found = redis.call('HMGET', key, 'webhook_tries', 'webhook_state')
if not found[1] then
  redis.call('ZREM', 'darkroom:webhooks', id)  -- its job is forgotten
  return 'lost'
end
if found[2] == 'delivered' or (found[1] ~= ARGV[2] and state ~= 'delivered') then return 'lost' end
redis.call('HSET', key, 'webhook_state', state)
if state == 'pending' then
  redis.call('ZADD', 'darkroom:webhooks', now + ARGV[4], id)
else
  redis.call('ZREM', 'darkroom:webhooks', id)
end
return 'ok'
