-- Lets a call through to its provider: answers its tick. Else answers how long to wait, the error that closed the gate
-- or '', and whom it made room for. What has changed comes last.
-- ARGV: id, fence, gate, number, most calls or 0, open time, model, most time of the call
despite_full_memory()
local id, gate, most, model = ARGV[1], gate_key(ARGV[3]), tonumber(ARGV[5]), ARGV[7]
if not holds(id, ARGV[2]) then return 'lost' end
local calls, call = gate .. ':calls', id .. ':' .. ARGV[2] .. ':' .. ARGV[4]
if redis.call('ZSCORE', calls, call) then return {tonumber(redis.call('HGET', gate, 'tick')), changes} end

local kept = redis.call('ZREM', calls, id)  -- the place that was kept for it since it was woken
local found = breakers(gate, model, redis.call('HGET', job_key(id), 'owner_digest') or '', call)
local lists = {gate .. ':waiters', gate .. ':' .. model .. ':waiters'}

-- A refused job waits for the key or for the model; that it was woken before does not count any more.
local function refuse(level, wait, code)
  local waiters = lists[math.min(level, 2)]
  for _, list in ipairs(lists) do redis.call('ZREM', list, id) end
  redis.call('ZADD', waiters, redis.call('HGET', job_key(id), 'order'), id)
  redis.call('PEXPIRE', waiters, GATE_LIFE)
  redis.call('HDEL', job_key(id), 'gate')
  return {wait, code, kept == 1 and level > 1 and wake(gate, math.min(1, room(gate, most))) or {}, changes}
end

local half_open
for level, breaker in ipairs(found) do
  if breaker.open_until and breaker.open_until > now then return refuse(level, breaker.open_until - now, breaker.code) end
  if breaker.open_until then half_open = half_open or breaker end
end
if room(gate, most) < 1 then return refuse(1, 15000, half_open and half_open.code or '') end
for level, breaker in ipairs(found) do
  local probe = breaker.open_until and breaker.probe
  if probe and redis.call('ZSCORE', calls, probe) and is_live(probe) then return refuse(level, ARGV[6], breaker.code) end
end
for _, breaker in ipairs(found) do
  -- The next probe, should this one be given up, has to wait as long as if it had failed at once.
  if breaker.open_until then redis.call('HSET', breaker.key, 'probe', call, 'open_until', now + ARGV[6]) end
end
for _, list in ipairs(lists) do redis.call('ZREM', list, id) end
redis.call('ZADD', calls, now + ARGV[8], call)
redis.call('PEXPIRE', calls, GATE_LIFE)
local begun = tick(gate)
redis.call('PEXPIRE', gate, GATE_LIFE)
return {begun, changes}
