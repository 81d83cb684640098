-- Prolongs the leases of one worker; answers the ids of jobs that are not its own any more, or that should have
-- ended two minutes ago: whatever their worker hangs on, their leases end and the sweeper ends them.
-- ARGV: worker, lease, its slots or 0 if they are not told, its version, then id, fence, …
despite_full_memory()
redis.call('ZADD', 'darkroom:workers', now, ARGV[1])
if ARGV[3] ~= '0' then redis.call('HSET', 'darkroom:slots', ARGV[1], ARGV[3]) end
redis.call('HSET', VERSIONS, ARGV[1], CONTRACT .. ' ' .. ARGV[4])
local lost = {}
for i = 5, #ARGV, 2 do
  if holds(ARGV[i], ARGV[i + 1]) and tonumber(redis.call('HGET', job_key(ARGV[i]), 'deadline')) + 120000 > now then
    redis.call('ZADD', RUNNING, now + ARGV[2], ARGV[i])
  else
    table.insert(lost, ARGV[i])
  end
end
return lost
