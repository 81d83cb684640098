-- include: base/keys base/memory base/hash job/lease job/events
-- Adds a stored image to its job, once.
--
-- Arguments:
--   id        text     the job
--   fence     integer  of its lease
--   index     integer  of the image in its job
--   image     JSON     what the job hash keeps of it
--   event     JSON     line of the job's story
--   artifact  text     id of the image
--   path      text     of its file in the media directory
-- Answers:
--   'ok'    the job has the image, now or since before
--   'lost'  the fence is old
-- Touches: job:{id} and its events, image:{artifact}, owner:{o}:latest:{conversation}.
local id, fence, index, image, event, artifact, path = unpack(ARGV)

despite_full_memory()
local key = job_key(id)
if not holds(id, fence) then return 'lost' end
if redis.call('HSETNX', key, 'image:' .. index, image) == 0 then return 'ok' end
redis.call('HINCRBY', key, 'images', 1)
local job = read(key, 'owner_digest', 'conversation_digest', 'retention', 'gallery_digest')
local keeper = job.gallery_digest or job.owner_digest
redis.call('SET', image_key(artifact), keeper, 'PX', job.retention)
if (job.conversation_digest or '') ~= '' then
  redis.call('SET', owner_key(keeper, 'latest:' .. job.conversation_digest), path, 'PX', job.retention)
end
tell(id, event)
return 'ok'
