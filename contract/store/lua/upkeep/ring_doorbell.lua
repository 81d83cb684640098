-- include: base/keys base/memory base/arguments queue/doorbell
-- Rings for jobs that are still queued and ready. A repeat, as after a lost answer, changes nothing.
--
-- Arguments:
--   then id, bell, …  text, JSON  each job, and the message that is rung for it
-- Answers: how many bells were rung.
-- Touches: job:{id}, bells, unrung.
despite_full_memory()
local rung = 0
for id, bell in argument_pairs(1) do
  if redis.call('ZSCORE', QUEUED, id) then
    ring(id, bell, true)
    rung = rung + 1
  end
end
return rung
