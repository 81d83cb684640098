-- include: base/clock base/keys base/memory base/hash base/arguments
-- Notes that clients wait for jobs at a gateway, or renews that; a job that is over, or gone, needs nobody.
--
-- Arguments:
--   gateway   text  the gateway process
--   then id, for_ms, …  for how long each note counts unless it is renewed
-- Answers: nothing
-- Touches: presence, presence:{id}.
local gateway = unpack(ARGV, 1, 1)

despite_full_memory()
for id, for_ms in argument_pairs(2) do
  local job = read(job_key(id), 'state', 'ended_at')
  if job.state and not job.ended_at then
    redis.call('ZADD', presence_key(id), now + for_ms, gateway)
    redis.call('PEXPIRE', presence_key(id), DAY)
    redis.call('ZADD', PRESENCE, 'GT', now + for_ms, id)
  end
end
redis.call('PEXPIRE', PRESENCE, DAY)
