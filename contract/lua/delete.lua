-- Forgets an owner's job, ending it first; answers its fields as they were, or nothing when there is no such job.
-- What a worker stores for it later is known by `deleted:{id}`.
-- ARGV: id, owner digest, retention
despite_full_memory()
local id, owner, key = ARGV[1], ARGV[2], job_key(ARGV[1])
local found = redis.call('HMGET', key, 'owner_digest', 'state', 'conversation_digest', 'gallery_digest', 'mailbox')
if found[1] ~= owner then return false end
local fields = redis.call('HGETALL', key)
if found[2] == 'queued' or found[2] == 'running' then finish(id, 'cancelled', '') end

local latest = owner_key(found[4] or owner, 'latest:' .. found[3])
for i = 1, #fields, 2 do
  if string.sub(fields[i], 1, 6) == 'image:' then
    local image = cjson.decode(fields[i + 1])
    redis.call('DEL', 'darkroom:image:' .. image.id)
    if redis.call('GET', latest) == image.path then redis.call('DEL', latest) end
  end
end
redis.call('ZREM', owner_key(owner, 'jobs'), id)
redis.call('ZREM', 'darkroom:webhooks', id)
if found[5] then redis.call('ZREM', mail_key(found[5]), id) end
redis.call('DEL', key, key .. ':events')
redis.call('SET', 'darkroom:deleted:' .. id, 1, 'PX', ARGV[3])
return fields
