-- Ends dead leases, expires jobs, wakes waiting ones; answers the ids whose bell has to be rung, those of damaged jobs
-- that it has ended, and one of a job that needs a newer worker with its contract number, if any was seen.
-- ARGV: sweeper, its lock's time, patience with leases, a bell's time, most jobs in one go
despite_full_memory()
local me, patience, most = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[5])

-- A lease looks dead when its worker is, but also when Redis was away from everybody. So leases are judged only
-- when sweepers, whichever, have reached Redis without a gap for so long that every living worker has renewed.
local contact = redis.call('HMGET', 'darkroom:contact', 'at', 'since')
local gap = is_number(contact[1]) and now - contact[1] or math.huge
local since = gap >= 0 and gap <= patience and tonumber(contact[2]) or now  -- below 0: the clock was set back
redis.call('HSET', 'darkroom:contact', 'at', now, 'since', since)
local may_judge = now - since >= patience

local holder = redis.call('GET', 'darkroom:lock:sweeper')
-- A newer version takes the lock over, as it may know more of the jobs; one that tells no number is older than all.
local is_free = not holder or holder == me or contract_of(redis.call('HGET', VERSIONS, holder) or '0') < CONTRACT
if not is_free then return {{}, {}} end
redis.call('SET', 'darkroom:lock:sweeper', me, 'PX', ARGV[2])

-- Celery's table of mailboxes would keep the names of killed workers for ever.
for _, name in ipairs(redis.call('ZRANGEBYSCORE', 'darkroom:workers', '-inf', now - 3600000, 'LIMIT', 0, most)) do
  redis.call('SREM', 'darkroom:_kombu.binding.celery.pidbox', '::darkroom@' .. name .. '.celery.pidbox')
  redis.call('ZREM', 'darkroom:workers', name)
  redis.call('HDEL', 'darkroom:slots', name)
end
-- A sweeper of an older version does not know of this one.
if redis.call('HLEN', VERSIONS) > redis.call('ZCARD', 'darkroom:workers') then
  for _, name in ipairs(redis.call('HKEYS', VERSIONS)) do
    if not redis.call('ZSCORE', 'darkroom:workers', name) then redis.call('HDEL', VERSIONS, name) end
  end
end

redis.call('HSETNX', VERSIONS, me, CONTRACT .. ' ')

local damaged = {}

local function drop(id)
  for _, index in ipairs({QUEUED, WAITING, RUNNING, DEADLINES, PARKED}) do redis.call('ZREM', index, id) end
end

-- Ends a job that cannot be handled any more, unless it has ended.
local function bury(id)
  if redis.call('HEXISTS', job_key(id), 'ended_at') == 0 then
    finish(id, 'failed', '{"code":"job_unreadable"}')
    table.insert(damaged, id)
  end
  drop(id)
end

-- Those ids whose jobs can be handled. One without its job, or whose job is damaged, would stop every sweep.
local function jobs(ids)
  local found = {}
  for _, id in ipairs(ids) do
    if intact(id) then
      table.insert(found, id)
    elseif redis.call('TYPE', job_key(id)).ok == 'hash' then
      bury(id)
    else
      drop(id)
    end
  end
  return found
end

local function due(index)
  return jobs(redis.call('ZRANGEBYSCORE', index, '-inf', now, 'LIMIT', 0, most))
end

if may_judge then
  for _, id in ipairs(due(RUNNING)) do
    if redis.call('HINCRBY', job_key(id), 'crashes', 1) >= 3 then
      finish(id, 'failed', '{"code":"worker_crashed"}')
    elseif tonumber(redis.call('HGET', job_key(id), 'deadline')) <= now then
      finish(id, 'expired', '{"code":"deadline_passed"}')
    else
      hurry(id)
      enqueue(id, 0)
      tell(id, cjson.encode({type = 'queued', why = 'worker_lost'}))
      journal(id, 'Its worker was lost; another one goes on.')
    end
  end
end
for _, id in ipairs(due(DEADLINES)) do
  finish(id, 'expired', '{"code":"deadline_passed"}')
end
local ready = due(WAITING)
for _, id in ipairs(ready) do
  redis.call('ZREM', WAITING, id)
  redis.call('ZADD', QUEUED, redis.call('HGET', job_key(id), 'order'), id)
end
if #ready > 0 then journal('', '') end

-- Whoever leaves admits the next one; this is for what went wrong. Each owner is looked at in turn, so that none
-- without room hides another.
for _, owner in ipairs(redis.call('ZRANGE', BACKLOGS, 0, most - 1)) do
  redis.call('ZADD', BACKLOGS, now, owner)
  admit(owner)
end

-- Whoever was just admitted waits for its first bell, however far behind it stands.
local ids, known = redis.call('ZRANGE', QUEUED, 0, most - 1), {}
for _, id in ipairs(ids) do known[id] = true end
for _, id in ipairs(redis.call('SPOP', UNRUNG, most)) do
  if not known[id] and redis.call('ZSCORE', QUEUED, id) then table.insert(ids, id) end
end

-- A bell is lost when its time is over and its list is empty, or younger ones of the list were served.
local silent, newer = {}, {}

-- Whether a ready job's bell is lost. ARGV[4] is how long its first bell has.
local function is_silent(rung, bells, priority, contract)
  local patience = ARGV[4] * 2 ^ math.min(math.max(bells - 1, 0), 5)
  local served = redis.call('HGET', 'darkroom:served', served_field(priority, contract))
  return rung == 0 or (rung + patience <= now
    and (redis.call('LLEN', list_key(priority, contract)) == 0 or (is_number(served) and tonumber(served) > rung)))
end

for _, id in ipairs(ids) do
  local found = redis.pcall('HMGET', job_key(id), 'priority', 'bell_at', 'bells', 'contract')
  local rung, bells, contract = found[2] or '0', found[3] or '0', contract_of(found[4])
  if not (is_number(found[1]) and is_number(rung) and is_number(bells)) then
    jobs({id})  -- so it is damaged, or gone
  elseif is_silent(tonumber(rung), tonumber(bells), found[1], contract) then
    if jobs({id})[1] then table.insert(silent, id) end
  end
  if contract > CONTRACT and contract > (newer[2] or 0) then newer = {id, contract} end
end
return {silent, damaged, unpack(newer)}
