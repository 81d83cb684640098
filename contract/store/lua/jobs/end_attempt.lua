-- include: base/keys base/memory job/lease job/budget job/events
-- Writes how a recorded call ended, and what comes next in words. A repeat, as after a lost answer, changes nothing.
--
-- Arguments:
--   id       text     the job
--   fence    integer  of its lease
--   number   integer  of the call in its job
--   attempt  JSON     what the job hash keeps of the call
--   event    JSON     line of the job's story, or ''
--   note     text     what comes next, or ''
--   writing  text     used once: by it a repeat is known
-- Answers:
--   'ok'    it is written
--   'lost'  the fence is old
-- Touches: job:{id} and its events, owner:{o}:spent:{day}.
local id, fence, number, attempt, event, note, writing = unpack(ARGV)

despite_full_memory()
if not holds(id, fence) then return 'lost' end
local key = job_key(id)
redis.call('HSET', key, 'attempt:' .. number, attempt)
charge(id, false)
if event ~= '' then tell_once(id, event, writing) end
if note ~= '' then redis.call('HSET', key, 'note', note) end
return 'ok'
