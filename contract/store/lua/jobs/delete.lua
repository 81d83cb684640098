-- include: base/keys base/memory base/hash job/finish job/kept job/forget
-- Forgets an owner's job, ending it first. Until its images are removed it is known as one that is being deleted: a repeat,
-- as after a lost answer, is answered the same.
--
-- Arguments:
--   id            text     the job
--   owner         text     digest
--   retention_ms  integer  for how long it is known that the job was deleted
-- Answers:
--   nil   the owner has no such job
--   hash  the job hash as it was, as field, value, …
-- Touches: job:{id} and its events, idem:{o}:{key}, image:{artifact} of its images, owner:{o}:jobs, :kept, :awaited, :marks and
-- :latest:{conversation}, live, kept, webhooks, mail:{mailbox}; deleting; deleted:{id}, by which a worker knows what it need
-- not store; all that `finish` does.
local id, owner, retention_ms = unpack(ARGV)

despite_full_memory()
local key = job_key(id)
local job = read(key, 'owner_digest', 'ended_at', 'fence')
if job.owner_digest ~= owner then
  local left = decoded(redis.call('HGET', DELETING, id))
  return left.owner == owner and left.fields or false
end
local fields = redis.call('HGETALL', key)
if not job.ended_at then finish(id, 'cancelled', '') end

local idempotency = key_of(id, owner)
if idempotency then redis.call('DEL', idempotency) end
remove_job(id, owner)
redis.call('HSET', DELETING, id, cjson.encode({owner = owner, fields = fields}))
if job.fence ~= '0' then  -- else no worker has had it
  redis.call('SET', deleted_key(id), 1, 'PX', retention_ms)
  join_line('marks', owner, 'deleted:' .. id, MARK_BYTES)
end
return fields
