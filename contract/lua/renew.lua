-- Prolongs the leases of one worker; answers the ids of jobs that are not its own any more.
-- ARGV: worker, lease, then id, fence, …
despite_full_memory()
redis.call('ZADD', 'darkroom:workers', now, ARGV[1])
local lost = {}
for i = 3, #ARGV, 2 do
  if holds(ARGV[i], ARGV[i + 1]) then
    redis.call('ZADD', RUNNING, now + ARGV[2], ARGV[i])
  else
    table.insert(lost, ARGV[i])
  end
end
return lost
