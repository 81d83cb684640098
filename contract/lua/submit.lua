-- Idempotency key → job hash → queue → doorbell, in one step.
-- ARGV: id, owner digest, idempotency digest or '', request digest, time to start, retention,
--       most active jobs of an owner, most queued jobs, bell, then field, value, … of the hash
local id, owner, idem, digest = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local retention = tonumber(ARGV[6])
local key = job_key(id)
if redis.call('EXISTS', key) == 1 then return {'new', id} end

local idem_key = 'darkroom:idem:' .. owner .. ':' .. idem
if idem ~= '' then
  local known = redis.call('HMGET', idem_key, 'id', 'digest')
  if known[1] then return {known[2] == digest and 'replayed' or 'reused', known[1]} end
end

local active = redis.call('ZCARD', owner_key(owner, 'active'))
if active >= tonumber(ARGV[7]) then return {'too_many_jobs', ARGV[7]} end
-- The more jobs an owner has under way, the later the next one is served.
local priority = math.min(active, 9)
-- Bells of cancelled jobs lie there until a worker takes them.
if redis.call('ZCARD', QUEUED) + redis.call('ZCARD', WAITING) >= tonumber(ARGV[8])
    or redis.call('LLEN', list_key(priority)) >= 2 * ARGV[8] then
  return {'queue_full', ''}
end

redis.call('HSET', key, unpack(ARGV, 10))
redis.call('HSET', key, 'id', id, 'owner_digest', owner, 'created_at', now, 'deadline', now + ARGV[5],
  'retention', retention, 'priority', priority, 'order', string.format('%.0f', priority * 1e13 + now),
  'fence', 0, 'calls', 0, 'crashes', 0, 'images', 0)
redis.call('ZADD', owner_key(owner, 'active'), now, id)
redis.call('ZREMRANGEBYSCORE', owner_key(owner, 'jobs'), '-inf', now - retention)
redis.call('ZADD', owner_key(owner, 'jobs'), now, id)
redis.call('PEXPIRE', owner_key(owner, 'jobs'), retention)
if idem ~= '' then
  redis.call('HSET', idem_key, 'id', id, 'digest', digest)
  redis.call('PEXPIRE', idem_key, retention)
end
enqueue(id, 0)
ring(id, ARGV[9])
tell(id, cjson.encode({type = 'queued'}))
return {'new', id}
