-- include: base/clock base/keys base/hash
-- Damaged jobs. One of them must stop no script that others need.

-- What the scripts compute with: the numbers that every job has, and then those that some have.
local NUMBERS = {'created_at', 'deadline', 'retention', 'priority', 'order', 'run_time', 'fence', 'crashes', 'images',
  'not_before', 'bell_at', 'bells', 'started_at', 'ended_at', 'max_running', 'contract', 'calls', 'count',
  'reserved', 'price', 'budget_day', 'letter_tries', 'webhook_tries', 'bytes'}
local NEEDED = 9

local function is_owner(digest) return type(digest) == 'string' and string.match(digest, '^%x+$') ~= nil end

-- Whether a job can be handled.
local function intact(id)
  local values = read_list(job_key(id), 'state', 'owner_digest', unpack(NUMBERS))
  local state, owner = unpack(values, 1, 2)
  if not state or not is_owner(owner) then return false end
  for i = 1, #NUMBERS do
    local text = values[i + 2]
    if not (text or i > NEEDED) or (text and (#text > 18 or not string.find(text, '^%-?%d+$'))) then return false end
  end
  return true
end

-- Leaves a damaged job to the next sweep, which ends it.
local function condemn(id)
  if redis.pcall('HEXISTS', job_key(id), 'ended_at') == 1 then return end
  for _, index in ipairs({QUEUED, WAITING, PARKED}) do redis.call('ZREM', index, id) end
  redis.call('ZADD', DEADLINES, 0, id)
end

-- Puts harmless values in the place of damaged ones, so that a job can be ended.
local function mend(id)
  local key, images = job_key(id), 0
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if string.sub(field, 1, 6) == 'image:' then images = images + 1 end
  end
  local values = {created_at = now, deadline = now, retention = DAY, priority = 9, order = now, images = images}
  for i, name in ipairs(NUMBERS) do
    if not is_number(redis.call('HGET', key, name)) then
      redis.call('HDEL', key, name)
      if i <= NEEDED then redis.call('HSET', key, name, values[name] or 0) end
    end
  end
  if not is_owner(redis.call('HGET', key, 'owner_digest')) then redis.call('HSET', key, 'owner_digest', '') end
end
