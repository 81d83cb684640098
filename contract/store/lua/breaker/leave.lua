-- include: base/clock base/keys base/memory breaker/breaker breaker/places breaker/throttling breaker/verdict
-- include: breaker/faltering
-- Frees a call's place, learns from how the call ended, and wakes waiting jobs.
--
-- Arguments:
--   id             text     the job
--   fence          integer  of its lease
--   name           text     a digest of provider and key: {g}
--   number         integer  name of the place, as `enter` was told
--   most           integer  calls at a time with this key, or 0 for any number
--   open_ms        integer  how long a breaker stays open
--   model          text     digest: {m}
--   begun          integer  tick of the call, as `enter` answered it
--   verdict        text     good, neutral, throttled, bad, model or key
--   code           text     error behind the verdict, or ''
--   since_ms       integer  time: from when on failures of others count
--   has_passed     0 or 1   whether this image has met an error that has passed
--   provider_name  text     for people
--   model_name     text     for people
-- Answers: {ids, falters, changes}
--   ids      jobs that were woken, for their bells
--   falters  1 if others' calls to this model have failed as well, else 0
--   changes  breakers that were opened or closed: {level, what, code, milliseconds, owner}
--   A call that has left before, or was given up, changes nothing: {{}, falters, {}}.
-- Touches: gate:{g}, :calls and :waiters, gate:{g}:{m} and :waiters, gate:{g}:{m}:{o}, breakers; the queue of jobs that are
-- woken.
local id, fence, name, number, most, open_ms, model, begun, verdict, code, since_ms, has_passed,
  provider_name, model_name = unpack(ARGV)

local OWNER_LIFE = 3600000
local MOST_OF_JOB, MOST_OF_OWNER = 3, 2  -- failures in a row that count, at most: more say nothing new

despite_full_memory()
local gate = gate_key(name)
local calls, call_id = calls_key(gate), call_name(id, fence, number)
local under_way = redis.call('ZCARD', calls)
local owner = redis.call('HGET', job_key(id), 'owner_digest') or ''
local way = gate .. ':' .. model
if redis.call('ZREM', calls, call_id) == 0 then
  return {{}, verdict == 'bad' and is_faltering(way, owner, id, tonumber(since_ms)) and 1 or 0, changes}
end

local of_key, of_model, of_owner = unpack(breakers(gate, model, owner, call_id))
local call = {
  gate = gate, begun = tonumber(begun), code = code, open_ms = tonumber(open_ms),
  provider = provider_name, model = model_name, of_model = of_model,
}
for _, breaker in ipairs({of_key, of_model, of_owner}) do
  if breaker.is_probe then redis.call('HDEL', breaker.key, 'probe') end
end

local is_life = verdict == 'good' or verdict == 'neutral' or verdict == 'throttled'
local falters = verdict == 'bad' and is_faltering(of_model.key, owner, id, tonumber(since_ms))
local is_closed = false  -- whether the breakers of model and owner are closed by this call

if verdict == 'key' then
  trip(of_key, call)
elseif is_life or verdict == 'model' or (verdict == 'bad' and of_key.is_probe) then
  live(of_key)  -- whatever else is wrong, the key was taken
end
if verdict == 'model' then
  trip(of_model, call)
elseif verdict == 'bad' then
  -- An error that no other job meets is a matter of this job.
  local counts = falters or code ~= 'provider_error'
  if counts or of_model.is_probe then fail(of_model, call, owner, MOST_OF_OWNER) end
  if counts or of_owner.is_probe then fail(of_owner, call, id, MOST_OF_JOB) end
  note(of_model.key, 'bad_job', id)
  note(of_model.key, 'bad_owner', owner)
elseif is_life then
  local is_model_closed = live(of_model)
  is_closed = live(of_owner) and is_model_closed
  note(of_model.key, 'good_owner', owner)
  if is_closed then redis.call('HSET', of_model.key, 'works', tick(gate)) end
  if has_passed == '1' then redis.call('HSET', of_model.key, 'faltered_at', string.format('%.0f', now)) end
end
learn_limit(gate, verdict, under_way)
redis.call('PEXPIRE', gate, GATE_LIFE)
redis.call('PEXPIRE', of_model.key, GATE_LIFE)
redis.call('PEXPIRE', of_owner.key, OWNER_LIFE)

-- Jobs that waited for the model wait only for a place now: all of them once it works, else one to probe.
local waiters, for_model = gate .. ':waiters', of_model.key .. ':waiters'
if passing(of_model, of_owner) == 1 then
  local first = redis.call('ZPOPMIN', for_model)
  if first[1] then redis.call('ZADD', waiters, first[2], first[1]) end
elseif is_closed then
  redis.call('ZUNIONSTORE', waiters, 2, waiters, for_model, 'AGGREGATE', 'MIN')
  redis.call('DEL', for_model)
end
redis.call('PEXPIRE', waiters, GATE_LIFE)
local free = verdict ~= 'throttled' and math.min(passing(of_key), room(gate, tonumber(most))) or 0
return {wake(gate, free), falters and 1 or 0, changes}
