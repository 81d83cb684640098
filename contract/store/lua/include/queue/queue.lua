-- include: base/clock base/keys base/hash job/damage
-- The queue of jobs that may start.

-- Puts a job (back) into the queue, in the place of its first submission.
local function enqueue(id, not_before)
  if not intact(id) then return condemn(id) end
  local key = job_key(id)
  local job = read(key, 'order', 'deadline', 'owner_digest')
  redis.call('HSET', key, 'state', 'queued', 'not_before', not_before, 'bell_at', 0, 'bells', 0)
  redis.call('ZREM', RUNNING, id)
  redis.call('SREM', owner_key(job.owner_digest, 'running'), id)
  redis.call('ZADD', DEADLINES, job.deadline, id)
  if not_before > now then
    redis.call('ZADD', WAITING, not_before, id)
  else
    redis.call('ZADD', QUEUED, job.order, id)
    redis.call('SADD', UNRUNG, id)
  end
end

-- Lets a job that its worker could not finish go before all that have not begun.
local function hurry(id)
  local key = job_key(id)
  redis.call('HSET', key, 'priority', 0, 'order', redis.call('HGET', key, 'created_at') or now)
end
