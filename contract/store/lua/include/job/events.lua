-- include: base/clock base/keys
-- What can be followed of a job.

-- Appends one line to the job's story and tells all that follow it.
local function tell(id, event)
  redis.call('XADD', events_key(id), 'MAXLEN', '~', 200, '*', 'at', now, 'event', event)
  redis.call('PUBLISH', 'darkroom:events', id)
end
