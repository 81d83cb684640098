-- Ends a job that its holder has finished; answers how, and the ids that have become ready by it.
-- ARGV: id, fence, state, failure or ''
despite_full_memory()
if not holds(ARGV[1], ARGV[2]) then return 'lost' end
local state, admitted = finish(ARGV[1], ARGV[3], ARGV[4])
return {state, admitted}
