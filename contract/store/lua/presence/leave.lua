-- include: base/keys base/memory base/hash job/finish
-- Tells that nobody waits for a job at a gateway any more; it is cancelled, unless somebody waits at another one.
--
-- Arguments:
--   gateway   text    the gateway process
--   id        text    the job
--   goes_on   0 or 1  whether the job goes on in any case
-- Answers:
--   1  it was cancelled
--   0  it goes on, or is over
-- Touches: presence, presence:{id}; all that `finish` does.
local gateway, id, goes_on = unpack(ARGV)

despite_full_memory()
redis.call('ZREM', presence_key(id), gateway)
if redis.call('EXISTS', presence_key(id)) == 1 then return 0 end  -- a note that has run out is left to `sweep`
redis.call('ZREM', PRESENCE, id)
local job = read(job_key(id), 'state', 'ended_at')
if goes_on == '1' or not job.state or job.ended_at then return 0 end
finish(id, 'cancelled', '')
return 1
