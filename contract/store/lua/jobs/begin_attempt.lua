-- include: base/clock base/keys base/memory base/hash job/lease job/events
-- Counts a provider call before it is made, and records it.
--
-- Arguments:
--   id          text     the job
--   fence       integer  of its lease
--   number      integer  of the call in its job
--   most_calls  integer  for the image of this call
--   attempt     JSON     what the job hash keeps of the call
--   event       JSON     line of the job's story
-- Answers:
--   'ok'                 the call is recorded, now or since before
--   'lost'               the fence is old
--   'deadline_passed'    the job has no time left
--   'call_budget_spent'  as many calls were made for the image as may be
-- Touches: job:{id} and its events.
local id, fence, number, most_calls, attempt, event = unpack(ARGV)

despite_full_memory()
local key = job_key(id)
if not holds(id, fence) then return 'lost' end
local field = 'attempt:' .. number
if tonumber(redis.call('HGET', key, 'deadline')) <= now then
  -- Its answer was lost, and now there is no time to make the call.
  if redis.call('HGET', key, field) == attempt then
    redis.call('HDEL', key, field)
    redis.call('HINCRBY', key, 'calls', -1)
  end
  return 'deadline_passed'
end
if redis.call('HEXISTS', key, field) == 1 then return 'ok' end
local index, fields, calls = cjson.decode(attempt).index, redis.call('HGETALL', key), 0
for i = 1, #fields, 2 do
  if string.sub(fields[i], 1, 8) == 'attempt:' and decoded(fields[i + 1]).index == index then calls = calls + 1 end
end
if calls >= tonumber(most_calls) then return 'call_budget_spent' end
redis.call('HINCRBY', key, 'calls', 1)
redis.call('HSET', key, field, attempt)
tell(id, event)
return 'ok'
