-- include: base/keys job/kept job/forget
-- Keeps what is counted of an owner true: keys expire by themselves, and what was awaited is delivered.

local HEADS = 10  -- of a line that are looked at in one go

local function has_gone(key) return redis.call('EXISTS', key) == 0 end

-- Takes those out of a line whose keys have expired.
local function drop_expired(what, owner, key_of_name)
  for _ = 1, HEADS do
    local name, bytes = first_in(what, owner)
    if not name or not has_gone(key_of_name(owner, name)) then return end
    leave_line(what, owner, name, bytes)
  end
end

-- Moves those who are not awaited any more into the other line; who still is goes to the end.
local function move_delivered(owner)
  local line = owner_key(owner, 'awaited')
  for _ = 1, math.min(HEADS, redis.call('ZCARD', line)) do
    local name, bytes = first_in('awaited', owner)
    local key = job_key(name)
    if not has_gone(key) and is_awaited(name) then
      stand_last(line, name .. ' ' .. bytes)
    else
      leave_line('awaited', owner, name, bytes)
      if not has_gone(key) then join_line('kept', owner, name, bytes) end
    end
  end
end

-- Nothing is there, so nothing counts, whatever an older version did not take away.
local function mend_count(index, owner, ...)
  for _, what in ipairs({...}) do
    if redis.call('EXISTS', owner_key(owner, what)) == 1 then return end
  end
  if redis.call('ZSCORE', index, owner) then count_bytes(index, owner, -bytes_in(index, owner)) end
end

local function tidy(owner)
  drop_expired('kept', owner, function(_, id) return job_key(id) end)
  drop_expired('marks', owner, mark_key)
  move_delivered(owner)
  mend_count(LIVE, owner, 'active', 'awaited')
  mend_count(KEPT, owner, 'kept', 'marks')
end
