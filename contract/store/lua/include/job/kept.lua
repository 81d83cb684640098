-- include: base/clock base/keys base/hash
-- What an owner's jobs take of Redis's memory. A job that is not over counts in LIVE with an estimate. At its end it is
-- measured and joins a line of its owner, 'name bytes' scored by when it joined: `kept`, which is forgotten from its
-- beginning and counts in KEPT, or `awaited` while its webhook or message is to be delivered, which counts in LIVE still.
-- Of a job that is gone, `marks` has `idem:{key}` (its idempotency key) or `deleted:{id}`, which count in KEPT, too.

local everyone = '*'  -- the member with the sum of all owners
local JOB_BYTES = 6000  -- of a job that is not over beside what was handed in: bell, story, indexes, calls and images
local AROUND_BYTES, KEY_BYTES, IMAGE_BYTES, MARK_BYTES = 400, 320, 400, 250  -- of an ended job's other keys, each
local COUNTED_IN = {kept = KEPT, marks = KEPT, awaited = LIVE}

local function bytes_in(index, member) return tonumber(redis.call('ZSCORE', index, member) or 0) end

-- Adds to what is counted of an owner, and of all, or takes away from it.
local function count_bytes(index, owner, bytes)
  if owner == '' then return end
  local left = tonumber(redis.call('ZINCRBY', index, bytes, owner))
  if left <= 0 then redis.call('ZREM', index, owner) end
  redis.call('ZINCRBY', index, bytes - math.min(left, 0), everyone)
  if redis.call('ZCARD', index) == 1 then redis.call('DEL', index) end
end

-- Measures a key, or guesses its size if this Redis does not tell it.
local function size_of(key)
  local bytes = redis.pcall(unpack({'MEMORY', 'USAGE', key, 'SAMPLES', 0}))
  if type(bytes) == 'number' then return bytes end
  bytes = 1000
  for _, text in ipairs(redis.call('HGETALL', key)) do bytes = bytes + #text + 30 end
  return bytes
end

-- Stands an entry at the end of a line, behind those of the same millisecond.
local function stand_last(line, entry)
  local last = tonumber(redis.call('ZREVRANGE', line, 0, 0, 'WITHSCORES')[2] or 0)
  redis.call('ZADD', line, string.format('%.3f', math.max(now, last + 0.001)), entry)
end

-- Lines do not expire: `tidy` takes those out whose keys have, and what is counted stays true.
local function join_line(what, owner, name, bytes)
  if owner == '' then return end
  stand_last(owner_key(owner, what), name .. ' ' .. string.format('%.0f', bytes))
  count_bytes(COUNTED_IN[what], owner, bytes)
end

local function leave_line(what, owner, name, bytes)
  if redis.call('ZREM', owner_key(owner, what), name .. ' ' .. bytes) == 1 then
    count_bytes(COUNTED_IN[what], owner, -bytes)
  end
end

-- Answers the first in a line, as name and bytes; nothing if there is none.
local function first_in(what, owner)
  local entry = redis.call('ZRANGE', owner_key(owner, what), 0, 0)[1]
  if entry then return string.match(entry, '^(.*) (%d+)$') end
end

-- Whether the webhook or the message of an ended job is still to be delivered.
local function is_awaited(id)
  local mailbox = redis.call('HGET', job_key(id), 'mailbox')
  return (redis.call('ZSCORE', WEBHOOKS, id) or mailbox and redis.call('ZSCORE', mail_key(mailbox), id)) and true or false
end

-- A job has ended: counts what is remembered of it, instead of what it was expected to take.
local function settle_bytes(id)
  local key = job_key(id)
  local job = read(key, 'owner_digest', 'bytes', 'idempotency', 'images')
  if job.bytes then count_bytes(LIVE, job.owner_digest, -job.bytes) end
  local bytes = size_of(key) + AROUND_BYTES + (job.idempotency and KEY_BYTES or 0) + job.images * IMAGE_BYTES
  redis.call('HSET', key, 'bytes', string.format('%.0f', bytes))
  join_line(is_awaited(id) and 'awaited' or 'kept', job.owner_digest, id, bytes)
end
