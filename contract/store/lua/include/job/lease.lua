-- include: base/keys base/hash job/damage
-- The lease of a running job.

-- Only the holder of the newest claim may write: a paused worker has an old fence.
local function holds(id, fence)
  local job = read(job_key(id), 'state', 'fence')
  return job.state == 'running' and job.fence == fence and intact(id)
end
