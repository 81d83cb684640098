-- Gives a job's slot back: to wait for its provider, or because its worker stops.
-- ARGV: id, fence, wait, note, bell, event
despite_full_memory()
local id = ARGV[1]
if not holds(id, ARGV[2]) then return 'lost' end
local wait = tonumber(ARGV[3])
redis.call('HSET', job_key(id), 'note', ARGV[4])
enqueue(id, wait > 0 and now + wait or 0)
if wait == 0 then ring(id, ARGV[5]) end
tell(id, ARGV[6])
return 'ok'
