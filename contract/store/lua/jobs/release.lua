-- Gives a job's slot back: to wait for its provider or at a gate, or because its worker stops.
-- ARGV: id, fence, wait, note, bell, event, whether a gate may end the wait
despite_full_memory()
local id, key = ARGV[1], job_key(ARGV[1])
if not holds(id, ARGV[2]) then return 'lost' end
local wait = tonumber(ARGV[3])
if wait == 0 then hurry(id) end
if ARGV[7] == '1' and redis.call('HGET', key, 'gate') == 'woken' then wait = 0 end
redis.call('HSET', key, 'note', ARGV[4], 'gate', ARGV[7] == '1' and 'waits' or '')
enqueue(id, wait > 0 and now + wait or 0)
if wait == 0 then ring(id, ARGV[5]) end
tell(id, ARGV[6])
journal(id, ARGV[4])
return 'ok'
