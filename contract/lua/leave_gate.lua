-- Frees a call's place, learns from how the call ended, and wakes waiting jobs; answers their ids, for their bells.
-- ARGV: id, fence, gate, number, most calls or 0, open time, verdict, its error code or ''
despite_full_memory()
local gate, most, open, verdict = gate_key(ARGV[3]), tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local calls, late, call = gate .. ':calls', gate .. ':late', ARGV[1] .. ':' .. ARGV[2] .. ':' .. ARGV[4]
local under_way = redis.call('ZCARD', calls)
if redis.call('ZREM', calls, call) == 0 then return {} end  -- it has left before, or was given up

local found = redis.call('HMGET', gate, 'open_until', 'probe')
local open_until, is_probe = tonumber(found[1]), found[2] == call
local is_late = redis.call('ZREM', late, call) == 1
if is_probe then redis.call('HDEL', gate, 'probe') end

-- Calls that are under way now were begun before, so their failures will say nothing new.
local function open_for(time)
  redis.call('HSET', gate, 'open_until', now + time, 'code', ARGV[8])
  redis.call('ZUNIONSTORE', late, 1, calls)
  redis.call('PEXPIRE', late, GATE_LIFE)
end

if verdict == 'good' or verdict == 'neutral' or verdict == 'throttled' then
  if open_until and not is_probe then
    redis.call('HSET', gate, 'open_until', now)  -- a late sign of life: a probe may go at once
  else
    redis.call('HDEL', gate, 'open_until', 'code', 'bad')
  end
elseif is_probe or not (open_until or is_late) then
  if verdict == 'key' then
    open_for(4 * open)
  elseif verdict == 'bad' and is_probe then
    open_for(2 * open)
  elseif verdict == 'bad' and redis.call('HINCRBY', gate, 'bad', 1) >= 5 then
    open_for(open)
  end
end

-- Throttling halves what is let through; it grows by one with each round of good calls.
local learned = learned_limit(gate)
local throttled_at = tonumber(redis.call('HGET', gate, 'throttled_at') or 0)
if verdict == 'throttled' and throttled_at + 1000 <= now then  -- those of the same moment say nothing new
  redis.call('HSET', gate, 'learned', math.max(1, math.floor(under_way / 2)), 'throttled_at', now, 'good', 0)
elseif verdict == 'good' and learned and redis.call('HINCRBY', gate, 'good', 1) >= learned then
  redis.call('HSET', gate, 'learned', learned + 1, 'good', 0)
  if learned + 1 >= 64 then redis.call('HDEL', gate, 'learned', 'throttled_at', 'good') end
end
redis.call('PEXPIRE', gate, GATE_LIFE)

-- How many jobs to send next: nobody into throttling or an open breaker, one to probe.
local function places()
  found = redis.call('HMGET', gate, 'open_until', 'probe')
  if verdict == 'throttled' or (found[1] and (tonumber(found[1]) > now or found[2])) then return 0 end
  return found[1] and math.min(1, room(gate, most)) or room(gate, most)
end

local free, woken = places(), {}
for _ = 1, 100 do
  local id = free >= 1 and redis.call('ZPOPMIN', gate .. ':waiters')[1]
  if not id then break end
  local job = redis.call('HMGET', job_key(id), 'state', 'gate')
  if job[1] == 'running' then
    redis.call('HSET', job_key(id), 'gate', 'woken')  -- it has not given its slot back yet
  elseif job[2] == 'waits' and redis.call('ZREM', WAITING, id) == 1 then
    enqueue(id, 0)
    if free < math.huge then
      redis.call('ZADD', calls, now + 5000, id)
      redis.call('PEXPIRE', calls, GATE_LIFE)
    end
    free = free - 1
    table.insert(woken, id)
  end
end
return woken
