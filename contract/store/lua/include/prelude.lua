-- Prepended to every script: the clock, the keys, and the few moves that several scripts share.
-- All times are milliseconds of Redis's own clock. Nothing here reads a worker's clock. CONTRACT, the number of this
-- version's contract, stands before this line: `contract/version.py`.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local QUEUED = 'darkroom:queued'        -- ready jobs, scored by the order they are served in
local WAITING = 'darkroom:waiting'      -- queued jobs that must not start before their score
local RUNNING = 'darkroom:running'      -- running jobs, scored by the end of their lease
local DEADLINES = 'darkroom:deadlines'  -- queued jobs, scored by when they expire
local PARKED = 'darkroom:parked'        -- queued jobs whose owner has no room for them, scored by their turn
local BACKLOGS = 'darkroom:backlogs'    -- owners of parked jobs, scored by when a sweep has looked at them
local UNRUNG = 'darkroom:unrung'        -- jobs that were admitted and have no bell yet
local JOURNAL = 'darkroom:journal'      -- each move of each job, without what was asked for and by whom
local VERSIONS = 'darkroom:versions'      -- each worker's contract number and version
local READY = 10                        -- ready jobs of one owner at most: as many as there are priorities

local function job_key(id) return 'darkroom:job:' .. id end

local function owner_key(digest, what) return 'darkroom:owner:' .. digest .. ':' .. what end

local function mail_key(mailbox) return 'darkroom:mail:' .. mailbox end

-- What was written without a number is of the first contract.
local function contract_of(text) return tonumber(string.match(text or '', '^%d+') or 1) end

-- Each contract has lists of its own, so that a worker hears no bell of a job that it cannot do.
local function list_key(priority, contract)
  local name = contract > 1 and 'darkroom:bells-' .. contract or 'darkroom:bells'
  return tonumber(priority) == 0 and name or name .. ':' .. priority
end

-- Under which name it is known how far a list was served.
local function served_field(priority, contract) return contract > 1 and contract .. ':' .. priority or priority end

-- Appends one line to the job's story and wakes whoever waits for it.
local function tell(id, event)
  local key = job_key(id) .. ':events'
  redis.call('XADD', key, 'MAXLEN', '~', 200, '*', 'at', now, 'event', event)
  redis.call('PUBLISH', 'darkroom:events', id)
end

-- Reads what is stored of a call or an image; what is damaged must not keep its job from ending.
local function decoded(text)
  local ok, value = pcall(cjson.decode, text)
  return ok and type(value) == 'table' and value or {}
end

local function is_number(text) return type(text) == 'string' and #text <= 18 and string.match(text, '^%-?%d+$') ~= nil end

-- What the scripts compute with: the numbers that every job has, and then those that some have.
local NUMBERS = {'created_at', 'deadline', 'retention', 'priority', 'order', 'run_time', 'fence', 'crashes', 'images',
  'not_before', 'bell_at', 'bells', 'started_at', 'ended_at', 'max_running', 'contract', 'calls', 'count',
  'reserved', 'price', 'budget_day', 'letter_tries', 'webhook_tries'}
local NEEDED = 9

local function is_owner(digest) return type(digest) == 'string' and string.match(digest, '^%x+$') ~= nil end

-- Whether a job can be handled. One that is damaged must stop no script that others need.
local function intact(id)
  local found = redis.pcall('HMGET', job_key(id), 'state', 'owner_digest', unpack(NUMBERS))
  if not found[1] or not is_owner(found[2]) then return false end
  for i = 1, #NUMBERS do
    local text = found[i + 2]
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
  local values = {created_at = now, deadline = now, retention = 86400000, priority = 9, order = now, images = images}
  for i, name in ipairs(NUMBERS) do
    if not is_number(redis.call('HGET', key, name)) then
      redis.call('HDEL', key, name)
      if i <= NEEDED then redis.call('HSET', key, name, values[name] or 0) end
    end
  end
  if not is_owner(redis.call('HGET', key, 'owner_digest')) then redis.call('HSET', key, 'owner_digest', '') end
end

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

-- Writes a line of the journal: how many jobs stand where and, if one has moved, what may be told of it.
local function journal(id, note)
  local job, cost, model = {}, '', ''
  if id ~= '' then
    job = redis.call('HMGET', job_key(id), 'state', 'worker', 'error', 'images', 'count', 'calls', 'created_at', 'started_at')
    if job[1] ~= 'queued' and job[1] ~= 'running' then cost, model = spending(job_key(id)) end
  end
  local code = tostring(decoded(job[3] or '').code or '')
  redis.call('XADD', JOURNAL, 'MAXLEN', '~', 20000, '*', 'job', id, 'state', job[1] or '', 'worker', job[2] or '',
    'code', code, 'note', note, 'images', job[4] or 0, 'count', job[5] or 0, 'calls', job[6] or 0,
    'cost', cost, 'model', model, 'created_at', job[7] or now, 'started_at', job[8] or '',
    'ready', redis.call('ZCARD', QUEUED), 'parked', redis.call('ZCARD', PARKED),
    'waiting', redis.call('ZCARD', WAITING), 'running', redis.call('ZCARD', RUNNING))
end

-- Only the holder of the newest claim may write: a paused worker has an old fence.
local function holds(id, fence)
  local found = redis.call('HMGET', job_key(id), 'state', 'fence')
  return found[1] == 'running' and found[2] == fence and intact(id)
end

-- Redis refuses a script's first write when its memory is full, but not one that only takes away, and
-- none after it. All scripts but submit begin so: what was accepted can always be brought to its end.
local function despite_full_memory() redis.call('ZREM', RUNNING, '') end

-- Bells are taken from the right: a job that has run before does not wait behind the others again. A bell bears the
-- contract number of its job, whoever rings.
local function ring(id, message)
  local key = job_key(id)
  local found = redis.pcall('HMGET', key, 'priority', 'started_at', 'contract', 'bells')
  if not (is_number(found[1]) and is_number(found[4] or '0')) then return condemn(id) end
  local contract = contract_of(found[3])
  local stamped = string.gsub(message, '"contract": %d+', '"contract": ' .. contract, 1)
  redis.call(found[2] and 'RPUSH' or 'LPUSH', list_key(found[1], contract), stamped)
  redis.call('HSET', key, 'bell_at', now)
  redis.call('HINCRBY', key, 'bells', 1)
  redis.call('SREM', UNRUNG, id)
end

-- Puts a job (back) into the queue, in the place of its first submission.
local function enqueue(id, not_before)
  if not intact(id) then return condemn(id) end
  local key = job_key(id)
  local found = redis.call('HMGET', key, 'order', 'deadline', 'owner_digest')
  redis.call('HSET', key, 'state', 'queued', 'not_before', not_before, 'bell_at', 0, 'bells', 0)
  redis.call('ZREM', RUNNING, id)
  redis.call('SREM', owner_key(found[3], 'running'), id)
  redis.call('ZADD', DEADLINES, found[2], id)
  if not_before > now then
    redis.call('ZADD', WAITING, not_before, id)
  else
    redis.call('ZADD', QUEUED, found[1], id)
  end
end

-- Lets a job that its worker could not finish go before all that have not begun.
local function hurry(id)
  local key = job_key(id)
  redis.call('HSET', key, 'priority', 0, 'order', redis.call('HGET', key, 'created_at') or now)
end

-- An owner's jobs that are ready or running; the others of the active ones are parked.
local function in_play(owner)
  return redis.call('ZCARD', owner_key(owner, 'active')) - redis.call('ZCARD', owner_key(owner, 'parked'))
end

-- Whether one more job of an owner may be ready; 'most' of them may be in play, 0 is any number.
local function has_room(owner, most)
  local playing = in_play(owner)
  return playing - redis.call('SCARD', owner_key(owner, 'running')) < READY and (most == 0 or playing < most)
end

local function set_order(id, rank) redis.call('HSET', job_key(id), 'order', string.format('%.0f', rank * 1e13 + now)) end

-- Lets a queued job wait for room. Owners take turns: a job's turn is the one after its owner's last, and an
-- owner who had none parked joins the turn that is on now.
local function park(id, owner)
  local key, mine = job_key(id), owner_key(owner, 'parked')
  local first = redis.call('ZRANGE', PARKED, 0, 0, 'WITHSCORES')[2]
  local last = redis.call('ZREVRANGE', mine, 0, 0, 'WITHSCORES')[2]
  set_order(id, math.max(math.floor((first or 0) / 1e13), last and math.floor(last / 1e13) + 1 or 0))
  redis.call('HSET', key, 'state', 'queued', 'not_before', 0, 'bell_at', 0, 'bells', 0)
  local found = redis.call('HMGET', key, 'order', 'deadline')
  redis.call('ZADD', DEADLINES, found[2], id)
  redis.call('ZADD', PARKED, found[1], id)
  redis.call('ZADD', mine, found[1], id)
  redis.call('ZADD', BACKLOGS, 'NX', now, owner)
end

local function unpark(id, owner)
  redis.call('ZREM', PARKED, id)
  redis.call('ZREM', owner_key(owner, 'parked'), id)
  if redis.call('EXISTS', owner_key(owner, 'parked')) == 0 then redis.call('ZREM', BACKLOGS, owner) end
end

-- Makes an owner's next parked jobs ready while there is room; answers their ids, for their bells.
-- Their order counts from now, so that the rank among the ready ones is the order of service.
local function admit(owner)
  local admitted = {}
  for _ = 1, READY do
    local id = redis.call('ZRANGE', owner_key(owner, 'parked'), 0, 0)[1]
    if not id then break end
    local is_intact = intact(id)
    if is_intact and not has_room(owner, tonumber(redis.call('HGET', job_key(id), 'max_running') or 0)) then break end
    local priority = math.min(in_play(owner), 9)
    unpark(id, owner)
    if is_intact then
      redis.call('HSET', job_key(id), 'priority', priority)
      set_order(id, priority)
      enqueue(id, 0)
      redis.call('SADD', UNRUNG, id)
      table.insert(admitted, id)
    elseif redis.call('TYPE', job_key(id)).ok == 'hash' then
      condemn(id)
    else  -- its hash is gone
      redis.call('ZREM', owner_key(owner, 'active'), id)
    end
  end
  return admitted
end

-- How long the last jobs of a kind took, for those who wait.
local function measure(kind, took)
  local key = 'darkroom:durations:' .. kind
  redis.call('LPUSH', key, string.format('%.0f', took))
  redis.call('LTRIM', key, 0, 19)
  redis.call('PEXPIRE', key, 30 * 86400000)
end

local DAY = 86400000
local function spent_key(owner, day) return owner_key(owner, 'spent:' .. string.format('%.0f', day)) end

-- Outcomes of calls that cannot have been billed unless somebody said so; any other one may have been.
local UNBILLED = {transient = true, rate_limited = true, unusable = true, rejected = true}

-- What a job has cost so far, in micro-dollars: what was told of its calls, and the price of those that nobody knows of.
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
  local found = redis.call('HMGET', job_key(id), 'reserved', 'price', 'budget_day', 'owner_digest')
  if not (is_number(found[1]) and is_number(found[3])) then return end
  local cost = cost_of(id, tonumber(found[2]) or 0)
  if not is_over and cost <= tonumber(found[1]) then return end
  if is_over then
    redis.call('HDEL', job_key(id), 'reserved')
  else
    redis.call('HSET', job_key(id), 'reserved', string.format('%.0f', cost))
  end
  local spent = spent_key(found[4], found[3])
  if redis.call('EXISTS', spent) == 1 then redis.call('INCRBY', spent, string.format('%.0f', cost - found[1])) end
end

-- The one way into a terminal state; answers it, and the ids that have become ready by it. A job that has images and ran out of luck has succeeded in part.
local function finish(id, state, failure)
  local key = job_key(id)
  if not intact(id) then mend(id) end
  local found = redis.call('HMGET', key, 'owner_digest', 'retention', 'images', 'kind', 'started_at', 'webhook')
  if (state == 'failed' or state == 'expired') and tonumber(found[3]) > 0 then state = 'succeeded' end
  redis.call('HSET', key, 'state', state, 'ended_at', now, 'error', failure)
  for _, index in ipairs({QUEUED, WAITING, RUNNING, DEADLINES}) do redis.call('ZREM', index, id) end
  redis.call('ZREM', owner_key(found[1], 'active'), id)
  redis.call('SREM', owner_key(found[1], 'running'), id)
  unpark(id, found[1])
  charge(id, true)
  if state == 'succeeded' and (found[4] or '') ~= '' and found[5] then measure(found[4], now - found[5]) end
  if (found[6] or '') ~= '' then redis.call('ZADD', 'darkroom:webhooks', now, id) end
  tell(id, cjson.encode({type = state}))
  redis.call('PEXPIRE', key, found[2])
  redis.call('PEXPIRE', key .. ':events', found[2])
  local admitted = admit(found[1])  -- the sweeper rings for them, if nobody does before
  journal(id, '')
  return state, admitted
end
