-- include: base/clock base/keys base/hash job/kept
-- Forgetting what is remembered of jobs that are over. Their images and sidecars stay where they are.

local looks = 50  -- at what could be forgotten, so that no script takes long

-- Removes an ended job's keys but for its idempotency key.
local function remove_job(id, owner)
  local key = job_key(id)
  local job = read(key, 'conversation_digest', 'gallery_digest', 'mailbox', 'bytes')
  local latest = owner_key(job.gallery_digest or owner, 'latest:' .. (job.conversation_digest or ''))
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if string.sub(field, 1, 6) == 'image:' then
      local image = decoded(redis.call('HGET', key, field))
      if type(image.id) == 'string' then redis.call('DEL', image_key(image.id)) end
      if image.path and redis.call('GET', latest) == image.path then redis.call('DEL', latest) end
    end
  end
  redis.call('ZREM', owner_key(owner, 'jobs'), id)
  redis.call('ZREM', WEBHOOKS, id)
  if job.mailbox then redis.call('ZREM', mail_key(job.mailbox), id) end
  for _, line in ipairs({'kept', 'awaited'}) do leave_line(line, owner, id, job.bytes or '') end
  redis.call('DEL', key, events_key(id))
end

-- Names the idempotency key of a job, unless another job has it by now.
local function key_of(id, owner)
  local name = redis.call('HGET', job_key(id), 'idempotency')
  local key = name and idempotency_key(owner, name)
  if key and redis.call('HGET', key, 'id') == id then return key, name end
end

-- Forgets a job. Its idempotency key is known for a day: a repeat must not be paid again.
local function forget_job(id, owner, bytes)
  local key, name = key_of(id, owner)
  leave_line('kept', owner, id, bytes)
  remove_job(id, owner)
  if not key then return end
  redis.call('HSET', key, 'is_forgotten', 1)
  redis.call('PEXPIRE', key, math.min(redis.call('PTTL', key), DAY))
  join_line('marks', owner, 'idem:' .. name, KEY_BYTES)
end

-- The key that a mark stands for.
local function mark_key(owner, name)
  local kind, rest = string.match(name, '^(%l+):(.+)$')
  return kind == 'idem' and idempotency_key(owner, rest) or deleted_key(rest)
end

local function forget_mark(owner)
  local name, bytes = first_in('marks', owner)
  leave_line('marks', owner, name, bytes)
  redis.call('DEL', mark_key(owner, name))
end

-- Forgets the first in an owner's line, or a mark where no job is left.
local function forget_first(owner)
  local name, bytes = first_in('kept', owner)
  if name then return forget_job(name, owner, bytes) end
  if first_in('marks', owner) then return forget_mark(owner) end
  count_bytes(KEPT, owner, -bytes_in(KEPT, owner))  -- nothing is there
end

-- Who has most remembered.
local function largest()
  for _, owner in ipairs(redis.call('ZREVRANGE', KEPT, 0, 1)) do
    if owner ~= everyone then return owner end
  end
end

-- Forgets by `forget(owner)` while there is too much and somebody of whom something is remembered, `whose()`.
local function forget_while(is_too_much, whose, forget)
  while looks > 0 and is_too_much() do
    local owner = whose()
    if not owner then return end
    looks = looks - 1
    forget(owner)
  end
end
