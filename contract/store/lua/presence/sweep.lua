-- include: base/clock base/keys base/memory base/hash base/contact job/finish
-- Cancels the jobs whose clients waited at gateways that are gone, and have not come to another one.
--
-- Arguments:
--   patience_ms  integer  for how long gateways must have reached Redis before notes are judged
--   most         integer  jobs in one go
-- Answers: the ids of the jobs that were cancelled
-- Touches: gateway_contact, presence, presence:{id}; all that `finish` does.
local patience_ms, most = unpack(ARGV)

despite_full_memory()
local cancelled = {}
if not is_in_touch(GATEWAY_CONTACT, tonumber(patience_ms)) then return cancelled end
for _, id in ipairs(redis.call('ZRANGE', PRESENCE, '-inf', now, 'BYSCORE', 'LIMIT', 0, most)) do
  redis.call('ZREM', PRESENCE, id)
  redis.call('DEL', presence_key(id))
  local job = read(job_key(id), 'state', 'ended_at')
  if job.state and not job.ended_at then
    finish(id, 'cancelled', '')
    cancelled[#cancelled + 1] = id
  end
end
return cancelled
