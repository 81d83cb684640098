-- include: base/clock base/hash
-- Whether a model fails more jobs than one. `way` is the key of its breaker, which also has what was seen last of owners
-- and jobs.

local FALTERS_FOR = 300000  -- after an error that passed

-- Notes the owner or job that met something last, and when another one had before.
local function note(way, what, source)
  local last = read(way, what, what .. '_at')
  if last[what] and last[what] ~= source then redis.call('HSET', way, what .. '_before', last[what .. '_at']) end
  redis.call('HSET', way, what, source, what .. '_at', string.format('%.0f', now))
end

-- Whether another one than this owner or job has met something since a time.
local function others_have(way, what, source, since)
  local last = read(way, what, what .. '_at', what .. '_before')
  local at = last[what] and (last[what] ~= source and last[what .. '_at'] or last[what .. '_before'])
  return at and tonumber(at) >= since
end

-- An owner's failing jobs do not prove that the provider fails as long as it works for others.
local function is_faltering(way, owner, id, since)
  local faltered_at = tonumber(redis.call('HGET', way, 'faltered_at') or 0)
  return faltered_at + FALTERS_FOR > now or others_have(way, 'bad_owner', owner, since)
    or (others_have(way, 'bad_job', id, since) and not others_have(way, 'good_owner', owner, since))
end
