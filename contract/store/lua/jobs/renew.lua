-- include: base/clock base/keys base/memory base/arguments job/lease
-- Prolongs the leases of one worker. Jobs that should have ended two minutes ago are not prolonged: their worker hangs, so
-- their leases end and the sweeper ends them.
--
-- Arguments:
--   worker   text     name
--   lease_ms integer  how long a lease is
--   slots    integer  how many jobs the worker runs at a time, or 0 if it does not tell
--   version  text     of the worker
--   then id, fence, …  text, integer  each job that the worker holds
-- Answers: {id, …}, the jobs that are not the worker's any more.
-- Touches: workers, slots, versions, running.
local worker, lease_ms, slots, version = unpack(ARGV, 1, 4)

local HANGS_MS = 120000

despite_full_memory()
redis.call('ZADD', WORKERS, now, worker)
if slots ~= '0' then redis.call('HSET', SLOTS, worker, slots) end
redis.call('HSET', VERSIONS, worker, CONTRACT .. ' ' .. version)
local lost = {}
for id, fence in argument_pairs(5) do
  if holds(id, fence) and tonumber(redis.call('HGET', job_key(id), 'deadline')) + HANGS_MS > now then
    redis.call('ZADD', RUNNING, now + lease_ms, id)
  else
    table.insert(lost, id)
  end
end
return lost
