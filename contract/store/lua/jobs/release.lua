-- include: base/clock base/keys base/memory job/lease queue/queue queue/doorbell job/events job/journal
-- Gives a job's slot back: to wait for its provider or a place there, or because its worker stops.
-- A repeat, as after a lost answer, changes nothing.
--
-- Arguments:
--   id       text     the job
--   fence    integer  of its lease
--   wait_ms  integer  how long it waits, or 0 to start again at once
--   note     text     what it waits for
--   bell     JSON     message that is rung when it does not wait
--   event    JSON     line of the job's story
--   at_gate  0 or 1   whether it waits for nothing but its provider, so that another call's end may end the wait
--   writing  text     used once: by it a repeat is known
-- Answers:
--   'ok'    the job is queued, or was since
--   'lost'  the fence is old
-- Touches: job:{id} and its events, running, queued or waiting, deadlines, owner:{o}:running, bells, journal.
local id, fence, wait_ms, note, bell, event, at_gate, writing = unpack(ARGV)

despite_full_memory()
local key = job_key(id)
if redis.call('HGET', key, 'released') == writing then return 'ok' end
if not holds(id, fence) then return 'lost' end
local wait = tonumber(wait_ms)
if wait == 0 then hurry(id) end
if at_gate == '1' and redis.call('HGET', key, 'gate') == 'woken' then wait = 0 end
redis.call('HSET', key, 'note', note, 'gate', at_gate == '1' and 'waits' or '', 'released', writing)
enqueue(id, wait > 0 and now + wait or 0)
if wait == 0 then ring(id, bell) end
tell(id, event)
journal(id, note)
return 'ok'
