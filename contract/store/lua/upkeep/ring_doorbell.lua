-- Rings for jobs that are still queued and ready.
-- ARGV: id, bell, …
despite_full_memory()
local rung = 0
for i = 1, #ARGV, 2 do
  if redis.call('ZSCORE', QUEUED, ARGV[i]) then
    ring(ARGV[i], ARGV[i + 1])
    rung = rung + 1
  end
end
return rung
