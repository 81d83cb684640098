-- Forgets an owner's job, ending it first; answers its fields as they were, or nothing when there is no such job.
-- What a worker stores for it later is known by `deleted:{id}`.
-- ARGV: id, owner digest, retention
despite_full_memory()
local id, owner, key = ARGV[1], ARGV[2], job_key(ARGV[1])
local found = redis.call('HMGET', key, 'owner_digest', 'ended_at', 'conversation_digest', 'gallery_digest', 'mailbox')
if found[1] ~= owner then return false end
local fields = redis.call('HGETALL', key)
if not found[2] then finish(id, 'cancelled', '') end

local latest = owner_key(found[4] or owner, 'latest:' .. (found[3] or ''))
for i = 1, #fields, 2 do
  if string.sub(fields[i], 1, 6) == 'image:' then
    local image = decoded(fields[i + 1])
    if type(image.id) == 'string' then redis.call('DEL', 'darkroom:image:' .. image.id) end
    if image.path and redis.call('GET', latest) == image.path then redis.call('DEL', latest) end
  end
end
redis.call('ZREM', owner_key(owner, 'jobs'), id)
redis.call('ZREM', 'darkroom:webhooks', id)
if found[5] then redis.call('ZREM', mail_key(found[5]), id) end
redis.call('DEL', key, key .. ':events')
redis.call('SET', 'darkroom:deleted:' .. id, 1, 'PX', ARGV[3])
return fields
