-- include: base/clock base/keys base/hash base/contract job/damage
-- Bells, which tell Celery's workers that a job is ready.

local DEAD_BELLS = 1000  -- in a list at most, and as many again as jobs are ready

-- Whether most bells of a list are those of cancelled jobs, which lie there until a worker takes them. Then the list is
-- emptied: the sweeper rings for those that are ready.
local function has_dead_bells(length)
  return length > DEAD_BELLS and length > DEAD_BELLS + 2 * redis.call('ZCARD', QUEUED)
end

-- Bells are taken from the right: a job that has run before does not wait behind the others again. A bell bears the
-- contract number of its job, also when a worker of another version rings. If one may be there, as it was rung before and the
-- answer was lost, it is looked for among those that were rung last.
local function ring(id, message, may_be_there)
  local key = job_key(id)
  local job = read_damaged(key, 'priority', 'started_at', 'contract', 'bells')
  if not (is_number(job.priority) and is_number(job.bells or '0')) then return condemn(id) end
  local contract = contract_of(job.contract)
  local stamped = string.gsub(message, '"contract": %d+', '"contract": ' .. contract, 1)
  local list = list_key(job.priority, contract)
  if may_be_there and redis.call('LPOS', list, stamped, 'RANK', job.started_at and -1 or 1, 'MAXLEN', 100) then return end
  local push = job.started_at and 'RPUSH' or 'LPUSH'
  if has_dead_bells(redis.call(push, list, stamped)) then
    redis.call('DEL', list)
    redis.call(push, list, stamped)
  end
  redis.call('HSET', key, 'bell_at', now)
  redis.call('HINCRBY', key, 'bells', 1)
  redis.call('SREM', UNRUNG, id)
end
