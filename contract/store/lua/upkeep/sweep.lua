-- include: base/clock base/keys base/memory job/events job/journal queue/queue queue/fairness job/finish
-- include: queue/sweeper job/unreadable queue/lost_bells job/kept job/tidy
-- Ends dead leases, expires jobs, makes waiting ones ready, finds lost bells, and mends what is counted of owners.
--
-- Arguments:
--   worker       text     the sweeper
--   lock_ms      integer  how long no other worker sweeps
--   patience_ms  integer  for how long sweepers must have reached Redis before leases are judged
--   bell_ms      integer  how long a first bell has before it counts as lost
--   most         integer  jobs of each sort in one go
-- Answers: {ids, damaged, id, contract}
--   ids       jobs whose bells have to be rung
--   damaged   jobs that were ended because their hashes are damaged, until the worker has seen to them
--   id        one that needs a newer worker, with its contract number; both are left out if none was seen
--   Another worker sweeps: {{}, {}}.
-- Touches: damaged, contact, lock:sweeper, workers, slots, versions, Celery's pidbox; every index of jobs;
-- live, kept, owner:{o}:kept, :awaited and :marks; all that `finish` does.
local worker, lock_ms, patience_ms, bell_ms, most = unpack(ARGV)

local MOST_CRASHES = 3
local OWNERS_TIDIED = 5

despite_full_memory()
local may_judge = may_judge_leases(tonumber(patience_ms))
if not may_sweep(worker) then return {{}, {}} end
redis.call('SET', SWEEPER, worker, 'PX', lock_ms)
forget_workers(most)
redis.call('HSETNX', VERSIONS, worker, CONTRACT .. ' ')

local function due(index)
  return readable(redis.call('ZRANGEBYSCORE', index, '-inf', now, 'LIMIT', 0, most))
end

local function end_lease(id)
  if redis.call('HINCRBY', job_key(id), 'crashes', 1) >= MOST_CRASHES then
    finish(id, 'failed', '{"code":"worker_crashed"}')
  elseif tonumber(redis.call('HGET', job_key(id), 'deadline')) <= now then
    finish(id, 'expired', '{"code":"deadline_passed"}')
  else
    hurry(id)
    enqueue(id, 0)
    tell(id, cjson.encode({type = 'queued', why = 'worker_lost'}))
    journal(id, 'Its worker was lost; another one goes on.')
  end
end

if may_judge then
  for _, id in ipairs(due(RUNNING)) do end_lease(id) end
end
for _, id in ipairs(due(DEADLINES)) do
  finish(id, 'expired', '{"code":"deadline_passed"}')
end
local ready = due(WAITING)
for _, id in ipairs(ready) do
  redis.call('ZREM', WAITING, id)
  redis.call('ZADD', QUEUED, redis.call('HGET', job_key(id), 'order'), id)
end
if #ready > 0 then journal('', '') end

-- A job that leaves admits the next one of its owner; this is for what went wrong. Each owner is looked at in turn, so
-- that none without room hides another.
for _, owner in ipairs(redis.call('ZRANGE', BACKLOGS, 0, most - 1)) do
  redis.call('ZADD', BACKLOGS, now, owner)
  admit(owner)
end

-- Some owners, so that all have their turn after a while.
for _, index in ipairs({LIVE, KEPT}) do
  for _, owner in ipairs(redis.call('ZRANDMEMBER', index, OWNERS_TIDIED)) do
    if owner ~= everyone then tidy(owner) end
  end
end

local silent, newer = lost_bells(candidates(most), bell_ms)
return {silent, redis.call('SRANDMEMBER', DAMAGED, most), unpack(newer)}
