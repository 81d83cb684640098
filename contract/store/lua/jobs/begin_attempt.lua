-- Counts a provider call before it is made, and records it.
-- ARGV: id, fence, number, most calls for its image, attempt, event
despite_full_memory()
local id, key = ARGV[1], job_key(ARGV[1])
if not holds(id, ARGV[2]) then return 'lost' end
if tonumber(redis.call('HGET', key, 'deadline')) <= now then return 'deadline_passed' end
local field = 'attempt:' .. ARGV[3]
if redis.call('HEXISTS', key, field) == 1 then return 'ok' end
local index, fields, calls = cjson.decode(ARGV[5]).index, redis.call('HGETALL', key), 0
for i = 1, #fields, 2 do
  if string.sub(fields[i], 1, 8) == 'attempt:' and decoded(fields[i + 1]).index == index then calls = calls + 1 end
end
if calls >= tonumber(ARGV[4]) then return 'call_budget_spent' end
redis.call('HINCRBY', key, 'calls', 1)
redis.call('HSET', key, field, ARGV[5])
tell(id, ARGV[6])
return 'ok'
