-- include: base/clock base/keys base/hash base/contract job/events job/journal queue/queue queue/doorbell
-- include: queue/fairness job/budget
-- Accepts a job: idempotency key → job hash → queue → doorbell, in one step.
--
-- Arguments:
--   id            text     the new job
--   owner         text     digest
--   idempotency   text     digest of the idempotency key, or ''
--   digest        text     of the request, to tell a repeated one from another one
--   queue_ms      integer  how long the job may wait to start
--   retention_ms  integer  how long it is kept after its end
--   most_active   integer  jobs of an owner that are not over
--   most_queued   integer  queued jobs of all owners
--   bell          JSON     message that is rung when the job is ready
--   most_in_play  integer  jobs of an owner that are ready or running, or 0 for any number
--   budget        integer  micro-dollars that the owner may spend in a day, or 0 for any sum
--   reserved      integer  micro-dollars that this job may cost
--   mailbox       text     where a message is put that tells of the job's end, or ''
--   hold_ms       integer  how long the message is held back
--   then field, value, …  text, text  what else the job hash keeps
-- Answers:
--   {'new', id}               the job is accepted, now or since before
--   {'replayed', id}          an earlier job had this key and the same request
--   {'reused', id}            an earlier job had this key and another request
--   {'too_many_jobs', most}   the owner has as many active jobs as may be
--   {'queue_full', ''}        there are as many queued jobs as may be
--   {'budget_spent', wait_s}  the owner's budget is spent until then
-- Touches: job:{id} and its events, owner:{o}:active, :jobs, :parked and :spent:{day}, idem:{o}:{key}, mail:{mailbox}, queued
-- or parked, deadlines, bells, journal.
local id, owner, idempotency, digest, queue_ms, retention_ms, most_active, most_queued, bell, most_in_play, budget, reserved,
  mailbox, hold_ms = unpack(ARGV, 1, 14)

local key, idem_key = job_key(id), 'darkroom:idem:' .. owner .. ':' .. idempotency
local day = math.floor(now / DAY)
local spent = spent_key(owner, day)
local has_budget = tonumber(budget) > 0

-- Answers the earlier job with the same idempotency key, if there is one.
local function earlier()
  local known = read(idem_key, 'id', 'digest')
  if known.id and redis.call('EXISTS', job_key(known.id)) == 1 then
    return {known.digest == digest and 'replayed' or 'reused', known.id}
  end
end

-- Answers the limit that refuses the job, if one does.
local function refusal(priority)
  if redis.call('ZCARD', owner_key(owner, 'active')) >= tonumber(most_active) then return {'too_many_jobs', most_active} end
  -- Bells of cancelled jobs lie there until a worker takes them.
  if redis.call('ZCARD', QUEUED) + redis.call('ZCARD', WAITING) + redis.call('ZCARD', PARKED) >= tonumber(most_queued)
      or redis.call('LLEN', list_key(priority, CONTRACT)) >= 2 * most_queued then
    return {'queue_full', ''}
  end
  if has_budget and (redis.call('GET', spent) or 0) + reserved > tonumber(budget) then
    return {'budget_spent', math.ceil(((day + 1) * DAY - now) / 1000)}
  end
end

-- Writes the job hash, and reserves what the job may cost.
local function store(priority)
  redis.call('HSET', key, unpack(ARGV, 15))
  redis.call('HSET', key, 'id', id, 'state', 'queued', 'owner_digest', owner, 'created_at', now, 'deadline', now + queue_ms,
    'retention', retention_ms, 'contract', CONTRACT, 'priority', priority, 'max_running', most_in_play,
    'fence', 0, 'calls', 0, 'crashes', 0, 'images', 0)
  if has_budget then
    redis.call('HSET', key, 'reserved', reserved, 'budget_day', string.format('%.0f', day))
    redis.call('INCRBY', spent, reserved)
    redis.call('PEXPIRE', spent, 2 * DAY)
  end
end

-- Puts the job where its owner, its idempotency key and its mailbox find it.
local function register()
  redis.call('ZADD', owner_key(owner, 'active'), now, id)
  redis.call('ZREMRANGEBYSCORE', owner_key(owner, 'jobs'), '-inf', now - retention_ms)
  redis.call('ZADD', owner_key(owner, 'jobs'), now, id)
  redis.call('PEXPIRE', owner_key(owner, 'jobs'), retention_ms)
  if idempotency ~= '' then
    redis.call('HSET', idem_key, 'id', id, 'digest', digest)
    redis.call('PEXPIRE', idem_key, retention_ms)
  end
  if mailbox ~= '' then
    redis.call('ZADD', mail_key(mailbox), now + hold_ms, id)
    redis.call('PEXPIRE', mail_key(mailbox), 2 * retention_ms + queue_ms)
  end
end

if redis.call('EXISTS', key) == 1 then return {'new', id} end
local known = idempotency ~= '' and earlier()
if known then return known end
local priority = next_priority(owner)
local refused = refusal(priority)
if refused then return refused end

store(priority)
-- Asked before it is one of them; a job whose owner has parked ones stands behind those.
local is_ready = redis.call('EXISTS', owner_key(owner, 'parked')) == 0 and has_room(owner, tonumber(most_in_play))
register()
if is_ready then
  set_order(id, priority)
  enqueue(id, 0)
  ring(id, bell)
else
  park(id, owner)
end
tell(id, cjson.encode({type = 'queued'}))
journal(id, '')
return {'new', id}
