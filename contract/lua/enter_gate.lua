-- Lets a call through to its provider; else answers how long to wait, and the error that closed the gate or ''.
-- ARGV: id, fence, gate, number, most calls or 0, open time, most time of the call
despite_full_memory()
local id, gate = ARGV[1], gate_key(ARGV[3])
if not holds(id, ARGV[2]) then return 'lost' end
local calls, call = gate .. ':calls', id .. ':' .. ARGV[2] .. ':' .. ARGV[4]
if redis.call('ZSCORE', calls, call) then return 'ok' end

local found = redis.call('HMGET', gate, 'open_until', 'code', 'probe')
local open_until, probe = tonumber(found[1]), found[3]

-- A refused job waits for the gate; that it was woken before does not count any more.
local function refuse(wait)
  redis.call('ZADD', gate .. ':waiters', redis.call('HGET', job_key(id), 'order'), id)
  redis.call('PEXPIRE', gate .. ':waiters', GATE_LIFE)
  redis.call('HDEL', job_key(id), 'gate')
  return {wait, found[2] or ''}
end

if open_until and open_until > now then return refuse(open_until - now) end
redis.call('ZREM', calls, id)  -- the place that was kept for it since it was woken
if room(gate, tonumber(ARGV[5])) < 1 then return refuse(15000) end
if open_until then
  if probe and redis.call('ZSCORE', calls, probe) and is_live(probe) then return refuse(ARGV[6]) end
  -- The next probe, should this one be given up, has to wait as long as if it had failed at once.
  redis.call('HSET', gate, 'probe', call, 'open_until', now + ARGV[6])
end
redis.call('ZREM', gate .. ':waiters', id)
redis.call('ZADD', calls, now + ARGV[7], call)
redis.call('PEXPIRE', calls, GATE_LIFE)
return 'ok'
