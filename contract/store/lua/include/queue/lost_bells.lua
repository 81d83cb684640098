-- include: base/clock base/keys base/hash base/contract job/unreadable
-- Ready jobs whose bell is lost: its time is over, and its list is empty or younger bells of the list were served.

-- Ready jobs that are looked at: the first ones, and those that have become ready and wait for their first bell,
-- however far behind they stand.
local function candidates(most)
  local ids, known = redis.call('ZRANGE', QUEUED, 0, most - 1), {}
  for _, id in ipairs(ids) do known[id] = true end
  for _, id in ipairs(redis.call('SRANDMEMBER', UNRUNG, most)) do
    if not redis.call('ZSCORE', QUEUED, id) then
      redis.call('SREM', UNRUNG, id)
    elseif not known[id] then
      table.insert(ids, id)  -- it stays there until its bell is rung, as the answer may be lost
    end
  end
  return ids
end

-- Whether a job's bell is lost. `first_ms` is how long its first bell has; each later one has twice as long.
local function is_silent(rung, bells, priority, contract, first_ms)
  local patience = first_ms * 2 ^ math.min(math.max(bells - 1, 0), 5)
  local served = redis.call('HGET', SERVED, served_field(priority, contract))
  return rung == 0 or (rung + patience <= now
    and (redis.call('LLEN', list_key(priority, contract)) == 0 or (is_number(served) and tonumber(served) > rung)))
end

-- The ids whose bells are lost; and {id, contract} of the job that needs the newest worker, if this one is older.
local function lost_bells(ids, first_ms)
  local silent, newer = {}, {}
  for _, id in ipairs(ids) do
    local job = read_damaged(job_key(id), 'priority', 'bell_at', 'bells', 'contract')
    local rung, bells, contract = job.bell_at or '0', job.bells or '0', contract_of(job.contract)
    if not (is_number(job.priority) and is_number(rung) and is_number(bells)) then
      readable({id})  -- so it is damaged, or gone
    elseif is_silent(tonumber(rung), tonumber(bells), job.priority, contract, first_ms) then
      if readable({id})[1] then table.insert(silent, id) end
    end
    if contract > CONTRACT and contract > (newer[2] or 0) then newer = {id, contract} end
  end
  return silent, newer
end
