-- include: base/keys base/memory base/hash job/lease job/finish
-- Ends a job that its holder has finished. A repeat, as after a lost answer, is answered the same.
--
-- Arguments:
--   id       text     the job
--   fence    integer  of its lease
--   state    text     terminal state
--   failure  JSON     what it failed of, or ''
--   writing  text     used once: by it a repeat is known
-- Answers:
--   'lost'        the fence is old
--   {state, ids}  how it has ended (a failed job that has images has succeeded), and the ids of jobs that have become
--                 ready by it, for their bells
-- Touches: all that `finish` does.
local id, fence, state, failure, writing = unpack(ARGV)

despite_full_memory()
local before = read(job_key(id), 'ended_by', 'state')
if before.ended_by == writing then return {before.state, {}} end
if not holds(id, fence) then return 'lost' end
redis.call('HSET', job_key(id), 'ended_by', writing)
local ended, admitted = finish(id, state, failure)
return {ended, admitted}
