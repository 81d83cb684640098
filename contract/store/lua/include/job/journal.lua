-- include: base/clock base/keys base/hash
-- The journal: a line for each move of each job. `contract/monitoring/journal.py` reads it.

-- What a job's calls are known to have cost, and the model that delivered, or was asked last.
local function spending(key)
  local cost, model, is_known = 0, '', false
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if string.sub(field, 1, 8) == 'attempt:' then
      local call = decoded(redis.call('HGET', key, field))
      if type(call.cost_usd) == 'number' then cost, is_known = cost + call.cost_usd, true end
      if call.outcome == 'delivered' or model == '' then model = type(call.model) == 'string' and call.model or '' end
    end
  end
  return is_known and string.format('%.6f', cost) or '', model
end

-- Writes a line: how many jobs stand where and, if one has moved, what may be told of it. Without a job, id is ''.
local function journal(id, note)
  local job, cost, model = {}, '', ''
  if id ~= '' then
    job = read(job_key(id), 'state', 'worker', 'error', 'images', 'count', 'calls', 'created_at', 'started_at')
    if job.state ~= 'queued' and job.state ~= 'running' then cost, model = spending(job_key(id)) end
  end
  local code = tostring(decoded(job.error or '').code or '')
  redis.call('XADD', JOURNAL, 'MAXLEN', '~', 20000, '*', 'at', now, 'job', id, 'state', job.state or '',
    'worker', job.worker or '',
    'code', code, 'note', note, 'images', job.images or 0, 'count', job.count or 0, 'calls', job.calls or 0,
    'cost', cost, 'model', model, 'created_at', job.created_at or now, 'started_at', job.started_at or '',
    'ready', redis.call('ZCARD', QUEUED), 'parked', redis.call('ZCARD', PARKED),
    'waiting', redis.call('ZCARD', WAITING), 'running', redis.call('ZCARD', RUNNING))
end
