-- include: base/keys job/damage job/finish
-- Jobs that cannot be handled any more: they end, so that they stop no sweep.

local function drop(id)
  for _, index in ipairs({QUEUED, WAITING, RUNNING, DEADLINES, PARKED}) do redis.call('ZREM', index, id) end
end

-- Ends a damaged job, unless it has ended.
local function end_damaged(id)
  if redis.call('HEXISTS', job_key(id), 'ended_at') == 0 then
    finish(id, 'failed', '{"code":"job_unreadable"}')
    redis.call('SADD', DAMAGED, id)
  end
  drop(id)
end

-- Those ids whose jobs can be handled. A damaged job ends, and an id without its job is dropped.
local function readable(ids)
  local jobs = {}
  for _, id in ipairs(ids) do
    if intact(id) then
      table.insert(jobs, id)
    elseif redis.call('TYPE', job_key(id)).ok == 'hash' then
      end_damaged(id)
    else
      drop(id)
    end
  end
  return jobs
end
