-- include: base/memory job/lease job/finish
-- Ends a job that its holder has finished.
--
-- Arguments:
--   id       text     the job
--   fence    integer  of its lease
--   state    text     terminal state
--   failure  JSON     what it failed of, or ''
-- Answers:
--   'lost'        the fence is old
--   {state, ids}  how it has ended (a failed job that has images has succeeded), and the ids of jobs that have become
--                 ready by it, for their bells
-- Touches: all that `finish` does.
local id, fence, state, failure = unpack(ARGV)

despite_full_memory()
if not holds(id, fence) then return 'lost' end
local ended, admitted = finish(id, state, failure)
return {ended, admitted}
