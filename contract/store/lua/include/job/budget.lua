-- include: base/keys base/hash
-- What an owner may spend in a day, in micro-dollars. A job reserves at its start what it may cost.

local function spent_key(owner, day) return owner_key(owner, 'spent:' .. string.format('%.0f', day)) end

-- Outcomes of calls that cannot have been billed unless the provider said so; any other one may have been.
local UNBILLED = {transient = true, rate_limited = true, unusable = true, rejected = true}

-- What a job has cost so far: what was told of its calls, and the price of those of which nothing is known.
local function cost_of(id, price)
  local cost, fields = 0, redis.call('HGETALL', job_key(id))
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 8) == 'attempt:' then
      local call = decoded(fields[i + 1])
      local told = type(call.cost_usd) == 'number' and math.floor(call.cost_usd * 1e6 + 0.5)
      cost = cost + (told or UNBILLED[call.outcome] and 0 or price)
    end
  end
  return cost
end

-- Changes what is reserved for a job to what it has cost: at its end, and before only if that is more.
local function charge(id, is_over)
  local job = read(job_key(id), 'reserved', 'price', 'budget_day', 'owner_digest')
  if not (is_number(job.reserved) and is_number(job.budget_day)) then return end
  local cost = cost_of(id, tonumber(job.price) or 0)
  if not is_over and cost <= tonumber(job.reserved) then return end
  if is_over then
    redis.call('HDEL', job_key(id), 'reserved')
  else
    redis.call('HSET', job_key(id), 'reserved', string.format('%.0f', cost))
  end
  local spent = spent_key(job.owner_digest, job.budget_day)
  if redis.call('EXISTS', spent) == 1 then redis.call('INCRBY', spent, string.format('%.0f', cost - job.reserved)) end
end
