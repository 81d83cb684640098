-- include: base/clock base/keys base/memory base/hash
-- Writes what a try to deliver a webhook came to: delivered, failed for good, or pending and when it is tried again.
--
-- Arguments:
--   id       text     the job
--   number   integer  of the try
--   state    text     delivered, failed or pending
--   wait_ms  integer  after which a pending one is due again
-- Answers:
--   'ok'    it is written
--   'lost'  nothing has changed: the job is forgotten, or the lease of this try was over and another one is under way. But
--           what was delivered is delivered, also after its lease.
-- Touches: job:{id}, webhooks.
local id, number, state, wait_ms = unpack(ARGV)

despite_full_memory()
local key = job_key(id)
local webhook = read(key, 'webhook_tries', 'webhook_state')
if not webhook.webhook_tries then
  redis.call('ZREM', WEBHOOKS, id)  -- its job is forgotten
  return 'lost'
end
if webhook.webhook_state == 'delivered' or (webhook.webhook_tries ~= number and state ~= 'delivered') then return 'lost' end
redis.call('HSET', key, 'webhook_state', state)
if state == 'pending' then
  redis.call('ZADD', WEBHOOKS, now + wait_ms, id)
else
  redis.call('ZREM', WEBHOOKS, id)
end
return 'ok'
