-- Writes how a recorded call ended, and what comes next in words.
-- ARGV: id, fence, number, attempt, event or '', note or ''
despite_full_memory()
if not holds(ARGV[1], ARGV[2]) then return 'lost' end
local key = job_key(ARGV[1])
redis.call('HSET', key, 'attempt:' .. ARGV[3], ARGV[4])
charge(ARGV[1], false)
if ARGV[5] ~= '' then tell(ARGV[1], ARGV[5]) end
if ARGV[6] ~= '' then redis.call('HSET', key, 'note', ARGV[6]) end
return 'ok'
