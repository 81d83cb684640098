-- include: base/clock base/keys
-- What can be followed of a job.

-- Appends one line to the job's story and tells all that follow it; more fields may stand behind the line.
local function tell(id, event, ...)
  redis.call('XADD', events_key(id), 'MAXLEN', '~', 200, '*', 'at', now, 'event', event, ...)
  redis.call('PUBLISH', 'darkroom:events', id)
end

-- The same, unless one of the last lines was told under this name: others may have come between a line and its repeat.
local function tell_once(id, event, name)
  for _, line in ipairs(redis.call('XREVRANGE', events_key(id), '+', '-', 'COUNT', 20)) do
    if line[2][6] == name then return end
  end
  tell(id, event, 'once', name)
end
