-- include: base/clock base/keys base/memory base/hash base/contract job/damage queue/queue queue/fairness job/events
-- include: job/journal job/finish
-- Gives a worker the job's lease and a new fence, if the job may start now.
--
-- Arguments:
--   id        text     the job
--   worker    text     name
--   lease_ms  integer  how long the lease is
--   claim     text     used once: the same claim, when its answer was lost, is answered again, with a lease from now on
-- Answers:
--   {}                                 the job may not start, or is gone
--   {'newer', contract}                the job needs a worker with a higher contract number; it stays as it is
--   {fence, now, deadline, hash, ids}  the lease is the worker's: times in milliseconds, the job hash as field, value, …,
--                                      and the ids of jobs that have become ready by it, for their bells
-- Touches: job:{id} and its events, queued, waiting, deadlines, running, served, suspect:{worker}, owner:{o}:running;
-- parked jobs that become ready. A job whose deadline has passed ends.
local id, worker, lease_ms, claim = unpack(ARGV)

local LAST_CHANCE = 2  -- crashes after which a job may be what kills its workers
local key = job_key(id)

-- A job that two workers died of may have killed them: on its last chance it runs beside no other such job, so that
-- the one that kills takes none with it. Answers whether it may run here now.
local function may_run_beside(others)
  local other = redis.call('GET', others)
  local run = other and read(job_key(other), 'state', 'worker') or {}
  if run.state == 'running' and run.worker == worker then return false end
  redis.call('SET', others, id, 'PX', DAY)
  return true
end

-- The time to run counts from the first start; the time to wait was another. Answers the new deadline.
local function start(job, contract)
  local deadline = now + job.run_time
  redis.call('HSET', key, 'started_at', now, 'deadline', deadline)
  -- How far each list has been served: the sweeper sees by it which bells were lost.
  local list = served_field(job.priority, contract)
  local served = redis.call('HGET', SERVED, list)
  local bell_at = job.bell_at or 0
  if not is_number(served) or tonumber(served) < tonumber(bell_at) then redis.call('HSET', SERVED, list, bell_at) end
  return deadline
end

despite_full_memory()
local job = read(key, 'state', 'not_before', 'deadline', 'started_at', 'run_time', 'priority', 'bell_at', 'claim', 'fence',
  'crashes', 'owner_digest', 'contract')
if not intact(id) and redis.call('EXISTS', key) == 1 then
  condemn(id)
  return {}
end
if job.state == 'running' and job.claim == claim then
  redis.call('ZADD', RUNNING, now + lease_ms, id)
  return {tonumber(job.fence), now, tonumber(job.deadline), redis.call('HGETALL', key), {}}
end
if job.state ~= 'queued' or tonumber(job.not_before or 0) > now then return {} end
if redis.call('ZSCORE', PARKED, id) then return {} end
if tonumber(job.deadline) <= now then
  finish(id, 'expired', '{"code":"deadline_passed"}')
  return {}
end
local contract = contract_of(job.contract)
if contract > CONTRACT then return {'newer', contract} end
if tonumber(job.crashes) >= LAST_CHANCE and not may_run_beside('darkroom:suspect:' .. worker) then
  redis.call('ZREM', QUEUED, id)
  enqueue(id, now + 3000)
  return {}
end
local deadline = tonumber(job.deadline)
if not job.started_at then deadline = start(job, contract) end
local fence = redis.call('HINCRBY', key, 'fence', 1)
redis.call('HSET', key, 'state', 'running', 'worker', worker, 'claim', claim, 'note', '')
for _, index in ipairs({QUEUED, WAITING, DEADLINES}) do redis.call('ZREM', index, id) end
redis.call('ZADD', RUNNING, now + lease_ms, id)
redis.call('SADD', owner_key(job.owner_digest, 'running'), id)
tell(id, cjson.encode({type = 'running', worker = worker}))
local admitted = admit(job.owner_digest)
journal(id, '')
return {fence, now, deadline, redis.call('HGETALL', key), admitted}
