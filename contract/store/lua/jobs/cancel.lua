-- Cancels an owner's job; answers its state before, or nothing when there is no such job of theirs.
-- ARGV: id, owner digest or '' for any, whether its letter is taken back
despite_full_memory()
local found = redis.call('HMGET', job_key(ARGV[1]), 'state', 'owner_digest', 'mailbox', 'ended_at')
if not found[1] or (ARGV[2] ~= '' and found[2] ~= ARGV[2]) then return false end
if found[4] then return found[1] end  -- by its time: a newer version may have other states
if ARGV[3] == '1' and found[3] then redis.call('ZREM', mail_key(found[3]), ARGV[1]) end
finish(ARGV[1], 'cancelled', '')
return found[1] == 'queued' and 'queued' or 'running'
