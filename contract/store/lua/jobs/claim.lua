-- Gives a worker the job's lease and a new fence, or nothing; answers also whom it made room for, for their bells.
-- A job with a higher contract number than this worker's stays as it is, and its number is answered.
-- ARGV: id, worker, lease, a number used once: the same claim, when its answer was lost, is answered again
despite_full_memory()
local id = ARGV[1]
local key = job_key(id)
local found = redis.call('HMGET', key, 'state', 'not_before', 'deadline', 'started_at', 'run_time', 'priority', 'bell_at', 'claim', 'fence', 'crashes',
  'owner_digest', 'contract')
if not intact(id) and redis.call('EXISTS', key) == 1 then
  condemn(id)
  return {}
end
if found[1] == 'running' and found[8] == ARGV[4] then
  return {tonumber(found[9]), now, tonumber(found[3]), redis.call('HGETALL', key), {}}
end
if found[1] ~= 'queued' or tonumber(found[2] or 0) > now then return {} end
if redis.call('ZSCORE', PARKED, id) then return {} end
if tonumber(found[3]) <= now then
  finish(id, 'expired', '{"code":"deadline_passed"}')
  return {}
end
local contract = contract_of(found[12])
if contract > CONTRACT then return {'newer', contract} end
-- A job that two workers died of may have killed them: on its last chance it runs beside no other such job, so that
-- the one that kills takes none with it.
if tonumber(found[10]) >= 2 then
  local suspect = 'darkroom:suspect:' .. ARGV[2]
  local other = redis.call('GET', suspect)
  local run = other and redis.call('HMGET', job_key(other), 'state', 'worker') or {}
  if run[1] == 'running' and run[2] == ARGV[2] then
    redis.call('ZREM', QUEUED, id)
    enqueue(id, now + 3000)
    return {}
  end
  redis.call('SET', suspect, id, 'PX', 86400000)
end
local deadline = tonumber(found[3])
if not found[4] then
  -- The time to run counts from the first start; the time to wait was another.
  deadline = now + found[5]
  redis.call('HSET', key, 'started_at', now, 'deadline', deadline)
  -- How far each list has been served: the sweeper sees by it which bells were lost.
  local list = served_field(found[6], contract)
  local served = redis.call('HGET', 'darkroom:served', list)
  local bell_at = found[7] or 0
  if not is_number(served) or tonumber(served) < tonumber(bell_at) then
    redis.call('HSET', 'darkroom:served', list, bell_at)
  end
end
local fence = redis.call('HINCRBY', key, 'fence', 1)
redis.call('HSET', key, 'state', 'running', 'worker', ARGV[2], 'claim', ARGV[4], 'note', '')
for _, index in ipairs({QUEUED, WAITING, DEADLINES}) do redis.call('ZREM', index, id) end
redis.call('ZADD', RUNNING, now + ARGV[3], id)
redis.call('SADD', owner_key(found[11], 'running'), id)
tell(id, cjson.encode({type = 'running', worker = ARGV[2]}))
local admitted = admit(found[11])
journal(id, '')
return {fence, now, deadline, redis.call('HGETALL', key), admitted}
