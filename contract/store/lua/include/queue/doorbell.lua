-- include: base/clock base/keys base/hash base/contract job/damage
-- Bells, which tell Celery's workers that a job is ready.

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
  redis.call(job.started_at and 'RPUSH' or 'LPUSH', list, stamped)
  redis.call('HSET', key, 'bell_at', now)
  redis.call('HINCRBY', key, 'bells', 1)
  redis.call('SREM', UNRUNG, id)
end
