-- include: base/clock base/keys base/hash job/events job/journal queue/queue queue/doorbell
-- include: queue/fairness job/budget job/kept job/forget job/tidy job/uploads
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
--   keep_jobs     integer  ended jobs of an owner that are remembered, or 0 for any number
--   keep_bytes    integer  that all jobs of an owner may take, or 0 for any number
--   keep_all      integer  bytes that all jobs of all owners may take, or 0 for any number
--   then field, value, …  text, text  what else the job hash keeps
-- Answers:
--   {'new', id}               the job is accepted, now or since before
--   {'replayed', id}          an earlier job had this key and the same request
--   {'reused', id}            an earlier job had this key and another request
--   {'forgotten', id}         an earlier job had this key, and is forgotten
--   {'too_many_bytes', most}  the owner's jobs that are not over, or awaited, take as many bytes as may be
--   {'too_many_jobs', most}   the owner has as many active jobs as may be
--   {'queue_full', ''}        there are as many queued jobs as may be, or they take as many bytes
--   {'budget_spent', wait_s}  the owner's budget is spent until then
-- Touches: job:{id} and its events, owner:{o}:active, :jobs, :parked and :spent:{day}, idem:{o}:{key}, mail:{mailbox}, queued
-- or parked, deadlines, bells, journal, live, kept, owner:{o}:kept, :marks, :awaited and :upload:{sha256}; all keys of jobs
-- that are forgotten.
local id, owner, idempotency, digest, queue_ms, retention_ms, most_active, most_queued, bell, most_in_play, budget, reserved,
  mailbox, hold_ms, keep_jobs, keep_bytes, keep_all = unpack(ARGV, 1, 17)

local key, idem_key = job_key(id), idempotency_key(owner, idempotency)
local day = math.floor(now / DAY)
local spent = spent_key(owner, day)
local has_budget = tonumber(budget) > 0

-- Answers the earlier job with the same idempotency key, if there is one.
local function earlier()
  local known = read(idem_key, 'id', 'digest', 'is_forgotten')
  if known.id and (known.is_forgotten or redis.call('EXISTS', job_key(known.id)) == 1) then
    local same = known.is_forgotten and 'forgotten' or 'replayed'
    return {known.digest == digest and same or 'reused', known.id}
  end
end

-- Answers the limit that refuses the job, if one does.
local function refusal()
  if redis.call('ZCARD', owner_key(owner, 'active')) >= tonumber(most_active) then return {'too_many_jobs', most_active} end
  if redis.call('ZCARD', QUEUED) + redis.call('ZCARD', WAITING) + redis.call('ZCARD', PARKED) >= tonumber(most_queued) then
    return {'queue_full', ''}
  end
  if has_budget and (redis.call('GET', spent) or 0) + reserved > tonumber(budget) then
    return {'budget_spent', math.ceil(((day + 1) * DAY - now) / 1000)}
  end
end

local FLOOR_BYTES = 65536  -- that an owner's jobs may take although those of the others take all that there is

-- What the job is expected to take.
local function expected_bytes()
  local bytes = JOB_BYTES
  for _, text in ipairs({unpack(ARGV, 18)}) do bytes = bytes + #text end
  return bytes
end

-- Answers the bound on bytes that refuses the job, if one does: jobs that are not over cannot be forgotten. An owner has
-- half of what the others leave, so that there is room for one more.
local function crowd(bytes)
  local mine, all, most = bytes_in(LIVE, owner) + bytes, bytes_in(LIVE, everyone) + bytes, tonumber(keep_all)
  if keep_bytes ~= '0' and mine > tonumber(keep_bytes) then return {'too_many_bytes', keep_bytes} end
  if most > 0 and mine > (most - (all - mine)) / 2 and (mine > FLOOR_BYTES or all > most * 1.25) then
    return {'queue_full', ''}
  end
end

-- Forgets the oldest ended jobs: of this owner, and of those who have most, if all have too much.
local function make_room()
  local function has(what) return redis.call('ZCARD', owner_key(owner, what)) end
  local function kept() return bytes_in(KEPT, owner) end
  local function mine() return kept() > 0 and owner end
  if keep_jobs ~= '0' then
    forget_while(function() return has('kept') >= tonumber(keep_jobs) end, mine, forget_first)
    forget_while(function() return has('marks') > tonumber(keep_jobs) end, mine, forget_mark)
  end
  forget_while(function()
    return keep_bytes ~= '0' and kept() + bytes_in(LIVE, owner) > tonumber(keep_bytes)
  end, mine, forget_first)
  forget_while(function()
    return keep_all ~= '0' and bytes_in(KEPT, everyone) + bytes_in(LIVE, everyone) > tonumber(keep_all)
  end, largest, forget_first)
end

-- Writes the job hash, and reserves what the job may cost.
local function store(priority, bytes)
  redis.call('HSET', key, unpack(ARGV, 18))
  redis.call('HSET', key, 'id', id, 'state', 'queued', 'owner_digest', owner, 'created_at', now, 'deadline', now + queue_ms,
    'retention', retention_ms, 'contract', CONTRACT, 'priority', priority, 'max_running', most_in_play,
    'fence', 0, 'calls', 0, 'crashes', 0, 'images', 0, 'bytes', bytes)
  count_bytes(LIVE, owner, bytes)
  if idempotency ~= '' then redis.call('HSET', key, 'idempotency', idempotency) end
  if has_budget then
    redis.call('HSET', key, 'reserved', reserved, 'budget_day', string.format('%.0f', day))
    redis.call('INCRBY', spent, reserved)
    redis.call('PEXPIRE', spent, 2 * DAY)
  end
end

-- Notes which uploads the job uses: those of its owner, or of the group that its images belong to.
local function note_uploads()
  local job = read(key, 'snapshots', 'gallery_digest')
  use_uploads(job.gallery_digest or owner, id, job.snapshots or '')
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
local refused = refusal()
if refused then return refused end
local bytes = expected_bytes()
local crowded = crowd(bytes)
if crowded then
  tidy(owner)
  crowded = crowd(bytes)
end
if crowded then return crowded end

store(priority, bytes)  -- a full Redis refuses this, so it comes before all that takes away
-- Asked before it is one of them; a job whose owner has parked ones stands behind those.
local is_ready = redis.call('EXISTS', owner_key(owner, 'parked')) == 0 and has_room(owner, tonumber(most_in_play))
register()
note_uploads()
if is_ready then
  set_order(id, priority)
  enqueue(id, 0)
  ring(id, bell)
else
  park(id, owner)
end
tidy(owner)
make_room()
tell(id, cjson.encode({type = 'queued'}))
journal(id, '')
return {'new', id}
