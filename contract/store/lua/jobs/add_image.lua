-- Adds a stored image to its job, once.
-- ARGV: id, fence, index, image, event, artifact id, path
despite_full_memory()
local id, key = ARGV[1], job_key(ARGV[1])
if not holds(id, ARGV[2]) then return 'lost' end
if redis.call('HSETNX', key, 'image:' .. ARGV[3], ARGV[4]) == 0 then return 'ok' end
redis.call('HINCRBY', key, 'images', 1)
local found = redis.call('HMGET', key, 'owner_digest', 'conversation_digest', 'retention', 'gallery_digest')
local keeper = found[4] or found[1]
redis.call('SET', 'darkroom:image:' .. ARGV[6], keeper, 'PX', found[3])
if (found[2] or '') ~= '' then
  redis.call('SET', owner_key(keeper, 'latest:' .. found[2]), ARGV[7], 'PX', found[3])
end
tell(id, ARGV[5])
return 'ok'
