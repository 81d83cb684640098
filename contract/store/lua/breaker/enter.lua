-- include: base/clock base/keys base/memory job/lease breaker/breaker breaker/places
-- Lets a call through to its provider, or says how long its job has to wait.
--
-- Arguments:
--   id          text     the job
--   fence       integer  of its lease
--   name        text     a digest of provider and key: {g}
--   number      integer  name of the place, used once: the same one, when its answer was lost, is answered again
--   most        integer  calls at a time with this key, or 0 for any number
--   open_ms     integer  how long a breaker stays open
--   model       text     digest: {m}
--   call_ms     integer  after which the call is given up
-- Answers:
--   'lost'                        the fence is old
--   {tick, changes}               the call may be made; `leave` wants the tick
--   {wait_ms, code, ids, changes} the call may not be made now; code is the error that opened a breaker, or '' when all
--                                 places are taken; the jobs `ids` were woken in its place, for their bells
--   Changes are breakers that this script has closed: {level, what, code, milliseconds, owner}.
-- Touches: gate:{g}, :calls and :waiters, gate:{g}:{m} and :waiters, gate:{g}:{m}:{o}; the queue of jobs that are woken.
local id, fence, name, number, most, open_ms, model, call_ms = unpack(ARGV)

despite_full_memory()
if not holds(id, fence) then return 'lost' end
local gate, limit = gate_key(name), tonumber(most)
local calls, call = calls_key(gate), call_name(id, fence, number)
if redis.call('ZSCORE', calls, call) then return {tonumber(redis.call('HGET', gate, 'tick')), changes} end

local kept = redis.call('ZREM', calls, id)  -- the place that was kept for it since it was woken
local all = breakers(gate, model, redis.call('HGET', job_key(id), 'owner_digest') or '', call)
local lists = {gate .. ':waiters', gate .. ':' .. model .. ':waiters'}

-- A refused job waits for the key or for the model; that it was woken before does not count any more.
local function refuse(level, wait, code)
  local waiters = lists[math.min(level, 2)]
  for _, list in ipairs(lists) do redis.call('ZREM', list, id) end
  redis.call('ZADD', waiters, redis.call('HGET', job_key(id), 'order'), id)
  redis.call('PEXPIRE', waiters, GATE_LIFE)
  redis.call('HDEL', job_key(id), 'gate')
  return {wait, code, kept == 1 and level > 1 and wake(gate, math.min(1, room(gate, limit))) or {}, changes}
end

local half_open
for level, breaker in ipairs(all) do
  if breaker.open_until and breaker.open_until > now then return refuse(level, breaker.open_until - now, breaker.code) end
  if breaker.open_until then half_open = half_open or breaker end
end
if room(gate, limit) < 1 then return refuse(KEY, 15000, half_open and half_open.code or '') end
for level, breaker in ipairs(all) do
  local probe = breaker.open_until and breaker.probe
  if probe and redis.call('ZSCORE', calls, probe) and is_live(probe) then return refuse(level, open_ms, breaker.code) end
end
for _, breaker in ipairs(all) do
  -- The next probe, should this one be given up, has to wait as long as if it had failed at once.
  if breaker.open_until then redis.call('HSET', breaker.key, 'probe', call, 'open_until', now + open_ms) end
end
for _, list in ipairs(lists) do redis.call('ZREM', list, id) end
redis.call('ZADD', calls, now + call_ms, call)
redis.call('PEXPIRE', calls, GATE_LIFE)
local begun = tick(gate)
redis.call('PEXPIRE', gate, GATE_LIFE)
return {begun, changes}
