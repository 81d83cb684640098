-- Idempotency key → job hash → queue → doorbell, in one step.
-- ARGV: id, owner digest, idempotency digest or '', request digest, time to start, retention,
--       most active jobs of an owner, most queued jobs, bell, most in play of an owner or 0,
--       budget of a day or 0 and what this job may cost, in micro-dollars, mailbox or '' and how long the letter in it
--       is held back, then field, value, … of the hash
local id, owner, idem, digest = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local retention = tonumber(ARGV[6])
local key = job_key(id)
if redis.call('EXISTS', key) == 1 then return {'new', id} end

local idem_key = 'darkroom:idem:' .. owner .. ':' .. idem
if idem ~= '' then
  local known = redis.call('HMGET', idem_key, 'id', 'digest')
  if known[1] and redis.call('EXISTS', job_key(known[1])) == 1 then
    return {known[2] == digest and 'replayed' or 'reused', known[1]}
  end
end

local active = redis.call('ZCARD', owner_key(owner, 'active'))
if active >= tonumber(ARGV[7]) then return {'too_many_jobs', ARGV[7]} end
-- The more jobs an owner has in play, the later the next one is served.
local priority = math.min(in_play(owner), 9)
-- Bells of cancelled jobs lie there until a worker takes them.
if redis.call('ZCARD', QUEUED) + redis.call('ZCARD', WAITING) + redis.call('ZCARD', PARKED) >= tonumber(ARGV[8])
    or redis.call('LLEN', list_key(priority, CONTRACT)) >= 2 * ARGV[8] then
  return {'queue_full', ''}
end
local budget, reserved, day = tonumber(ARGV[11]), tonumber(ARGV[12]), math.floor(now / DAY)
local spent = spent_key(owner, day)
if budget > 0 and (redis.call('GET', spent) or 0) + reserved > budget then
  return {'budget_spent', math.ceil(((day + 1) * DAY - now) / 1000)}
end

redis.call('HSET', key, unpack(ARGV, 15))
redis.call('HSET', key, 'id', id, 'state', 'queued', 'owner_digest', owner, 'created_at', now, 'deadline', now + ARGV[5],
  'retention', retention, 'contract', CONTRACT, 'priority', priority, 'max_running', ARGV[10],
  'fence', 0, 'calls', 0, 'crashes', 0, 'images', 0)
if budget > 0 then
  redis.call('HSET', key, 'reserved', ARGV[12], 'budget_day', string.format('%.0f', day))
  redis.call('INCRBY', spent, ARGV[12])
  redis.call('PEXPIRE', spent, 2 * DAY)
end
-- Asked before it is one of them; whoever has parked jobs stands behind those.
local is_ready = redis.call('EXISTS', owner_key(owner, 'parked')) == 0 and has_room(owner, tonumber(ARGV[10]))
redis.call('ZADD', owner_key(owner, 'active'), now, id)
redis.call('ZREMRANGEBYSCORE', owner_key(owner, 'jobs'), '-inf', now - retention)
redis.call('ZADD', owner_key(owner, 'jobs'), now, id)
redis.call('PEXPIRE', owner_key(owner, 'jobs'), retention)
if idem ~= '' then
  redis.call('HSET', idem_key, 'id', id, 'digest', digest)
  redis.call('PEXPIRE', idem_key, retention)
end
if ARGV[13] ~= '' then
  local mail = mail_key(ARGV[13])
  redis.call('ZADD', mail, now + ARGV[14], id)
  redis.call('PEXPIRE', mail, 2 * retention + ARGV[5])
end
if is_ready then
  set_order(id, priority)
  enqueue(id, 0)
  ring(id, ARGV[9])
else
  park(id, owner)
end
tell(id, cjson.encode({type = 'queued'}))
journal(id, '')
return {'new', id}
