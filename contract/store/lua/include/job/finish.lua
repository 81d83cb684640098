-- include: base/clock base/keys base/hash job/events job/damage job/journal queue/fairness job/budget job/kept
-- The end of a job.

-- Keeps how long the last jobs of a kind took, from which waiting times are estimated.
local function measure(kind, took)
  local key = 'darkroom:durations:' .. kind
  redis.call('LPUSH', key, string.format('%.0f', took))
  redis.call('LTRIM', key, 0, 19)
  redis.call('PEXPIRE', key, 30 * DAY)
end

local STREAM_MS = 60000  -- for how long the stream of an ended job stays: gateways of an older version read no other story

-- Keeps a job's story in its hash, a line for each event, where it takes a third of the bytes.
local function fold(id, retention)
  local lines = {}
  for _, line in ipairs(redis.call('XRANGE', events_key(id), '-', '+')) do
    local told = named({line[2][2], line[2][4]}, {line[2][1], line[2][3]})
    table.insert(lines, line[1] .. ' ' .. tostring(told.at) .. ' ' .. tostring(told.event))
  end
  redis.call('HSET', job_key(id), 'story', table.concat(lines, '\n'))
  redis.call('PEXPIRE', events_key(id), math.min(retention, STREAM_MS))
end

-- The one way into a terminal state; answers it, and the ids that have become ready by it. A job that has images and
-- then failed or expired has succeeded in part.
local function finish(id, state, failure)
  local key = job_key(id)
  if not intact(id) then mend(id) end
  local job = read(key, 'owner_digest', 'retention', 'images', 'kind', 'started_at', 'webhook')
  local owner = job.owner_digest
  if (state == 'failed' or state == 'expired') and tonumber(job.images) > 0 then state = 'succeeded' end
  redis.call('HSET', key, 'state', state, 'ended_at', now, 'error', failure)
  for _, index in ipairs({QUEUED, WAITING, RUNNING, DEADLINES}) do redis.call('ZREM', index, id) end
  redis.call('ZREM', owner_key(owner, 'active'), id)
  redis.call('SREM', owner_key(owner, 'running'), id)
  unpark(id, owner)
  charge(id, true)
  if state == 'succeeded' and (job.kind or '') ~= '' and job.started_at then measure(job.kind, now - job.started_at) end
  if (job.webhook or '') ~= '' then redis.call('ZADD', WEBHOOKS, now, id) end
  tell(id, cjson.encode({type = state}))
  fold(id, job.retention)
  settle_bytes(id)
  redis.call('PEXPIRE', key, job.retention)
  local admitted = admit(owner)  -- the sweeper rings for them, if the caller of this script does not
  journal(id, '')
  return state, admitted
end
