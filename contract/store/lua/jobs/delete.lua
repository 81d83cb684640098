-- include: base/keys base/memory base/hash job/finish
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
-- Touches: job:{id} and its events, image:{artifact} of its images, owner:{o}:jobs and :latest:{conversation}, webhooks,
-- mail:{mailbox}; deleting; deleted:{id}, by which a worker knows what it need not store; all that `finish` does.
local id, owner, retention_ms = unpack(ARGV)

despite_full_memory()
local key = job_key(id)
local job = read(key, 'owner_digest', 'ended_at', 'conversation_digest', 'gallery_digest', 'mailbox')
if job.owner_digest ~= owner then
  local left = decoded(redis.call('HGET', DELETING, id))
  return left.owner == owner and left.fields or false
end
local fields = redis.call('HGETALL', key)
if not job.ended_at then finish(id, 'cancelled', '') end

local latest = owner_key(job.gallery_digest or owner, 'latest:' .. (job.conversation_digest or ''))
for i = 1, #fields, 2 do
  if string.sub(fields[i], 1, 6) == 'image:' then
    local image = decoded(fields[i + 1])
    if type(image.id) == 'string' then redis.call('DEL', image_key(image.id)) end
    if image.path and redis.call('GET', latest) == image.path then redis.call('DEL', latest) end
  end
end
redis.call('ZREM', owner_key(owner, 'jobs'), id)
redis.call('ZREM', WEBHOOKS, id)
if job.mailbox then redis.call('ZREM', mail_key(job.mailbox), id) end
redis.call('DEL', key, events_key(id))
redis.call('HSET', DELETING, id, cjson.encode({owner = owner, fields = fields}))
redis.call('SET', 'darkroom:deleted:' .. id, 1, 'PX', retention_ms)
return fields
