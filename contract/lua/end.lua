-- Ends a job that its holder has finished.
-- ARGV: id, fence, state, failure or ''
despite_full_memory()
if not holds(ARGV[1], ARGV[2]) then return 'lost' end
return finish(ARGV[1], ARGV[3], ARGV[4])
