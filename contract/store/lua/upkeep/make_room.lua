-- include: base/keys base/memory job/kept job/forget
-- Forgets the oldest ended jobs of those who have most, because Redis is full. It forgets nothing where that cannot help,
-- as what is remembered is not what fills Redis. A repeat forgets some more.
--
-- Arguments: none
-- Answers: how many bytes were counted for what is forgotten.
-- Touches: kept, owner:{o}:kept and :marks; all keys of jobs that are forgotten.
despite_full_memory()
local before = bytes_in(KEPT, everyone)

local function can_help()
  local told = redis.pcall(unpack({'INFO', 'memory'}))
  if type(told) ~= 'string' then return false end  -- this user may not ask
  local used, most = string.match(told, 'used_memory:(%d+).*%smaxmemory:(%d+)')
  return used and used - before < tonumber(most)
end

if can_help() then forget_while(function() return true end, largest, forget_first) end
return before - bytes_in(KEPT, everyone)
