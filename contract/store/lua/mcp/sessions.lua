-- include: base/clock base/keys base/memory base/arguments
-- Tells what a gateway knows of an owner's MCP sessions, and opens another one; the one that was idle for the longest
-- gives way if there are too many.
--
-- Arguments:
--   owner    text     digest
--   gateway  text     the gateway process
--   idle_ms  integer  for how long a session may be idle
--   busy_ms  integer  for how long it counts that a session is in use at the gateway
--   most     integer  sessions of an owner
--   opened   text     the digest of a session to be opened, or ''
--   then id, age_ms, …  sessions at the gateway, by their digests, and for how long they have been idle; -1 if in use
-- Answers: {is_open, id, …}
--   is_open  1, or 0 if there are too many in use
--   id       sessions of the gateway, and of others, that are gone
-- Touches: owner:{o}:sessions, owner:{o}:sessions_in_use.
local owner, gateway, idle_ms, busy_ms, most, opened = unpack(ARGV, 1, 6)

local sessions, in_use = owner_key(owner, 'sessions'), owner_key(owner, 'sessions_in_use')
despite_full_memory()
redis.call('ZREMRANGEBYSCORE', sessions, '-inf', now - idle_ms)
redis.call('ZREMRANGEBYSCORE', in_use, '-inf', now)

local function note_use(id)
  redis.call('ZADD', sessions, now, id)
  redis.call('ZADD', in_use, now + busy_ms, id .. ':' .. gateway)
end

local gone = {}
for id, age_ms in argument_pairs(7) do
  if not redis.call('ZSCORE', sessions, id) then gone[#gone + 1] = id
  elseif tonumber(age_ms) < 0 then note_use(id)
  else
    redis.call('ZADD', sessions, 'GT', now - age_ms, id)
    redis.call('ZREM', in_use, id .. ':' .. gateway)
  end
end

local is_busy = {}
for _, use in ipairs(redis.call('ZRANGE', in_use, 0, -1)) do
  is_busy[string.match(use, '^%x+')] = true
end

local function make_room()
  for _, id in ipairs(redis.call('ZRANGE', sessions, 0, -1)) do
    if not is_busy[id] then
      redis.call('ZREM', sessions, id)
      gone[#gone + 1] = id
      return true
    end
  end
  return false
end

local is_open = 1
if opened ~= '' then
  local is_repeat = redis.call('ZSCORE', sessions, opened)
  local has_room = is_repeat or redis.call('ZCARD', sessions) < tonumber(most) or make_room()
  if has_room then note_use(opened) else is_open = 0 end
end
redis.call('PEXPIRE', sessions, idle_ms)
redis.call('PEXPIRE', in_use, busy_ms)
return {is_open, unpack(gone)}
