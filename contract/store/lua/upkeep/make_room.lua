-- include: base/keys base/memory job/kept job/forget
-- Forgets the oldest ended jobs of those who have most, because Redis is full. A repeat forgets some more.
--
-- Arguments: none
-- Answers: how many bytes were counted for them.
-- Touches: kept, owner:{o}:kept and :marks; all keys of jobs that are forgotten.
despite_full_memory()
local before = bytes_in(KEPT, everyone)
forget_while(function() return true end, largest, forget_first)
return before - bytes_in(KEPT, everyone)
