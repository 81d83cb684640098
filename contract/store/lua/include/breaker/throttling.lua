-- include: base/clock base/hash
-- The limit of calls that a provider's throttling has taught: field `learned` of `gate:{g}`.

-- The limit, or nothing; ten minutes without throttling and it is forgotten.
local function learned_limit(gate)
  local taught = read(gate, 'learned', 'throttled_at')
  if is_number(taught.learned) and is_number(taught.throttled_at) and taught.throttled_at + 600000 > now then
    return tonumber(taught.learned)
  end
  redis.call('HDEL', gate, 'learned', 'throttled_at', 'good')
end

-- Throttling halves how many calls are let through; the limit grows by one with each round of good calls.
local function learn_limit(gate, verdict, under_way)
  local learned = learned_limit(gate)
  local throttled_at = tonumber(redis.call('HGET', gate, 'throttled_at') or 0)
  if verdict == 'throttled' and throttled_at + 1000 <= now then  -- those of the same moment say nothing new
    redis.call('HSET', gate, 'learned', math.max(1, math.floor(under_way / 2)), 'throttled_at', now, 'good', 0)
  elseif verdict == 'good' and learned and redis.call('HINCRBY', gate, 'good', 1) >= learned then
    redis.call('HSET', gate, 'learned', learned + 1, 'good', 0)
    if learned + 1 >= 64 then redis.call('HDEL', gate, 'learned', 'throttled_at', 'good') end
  end
end
