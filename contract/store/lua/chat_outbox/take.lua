-- Takes the letter of an ended job to be sent: it is counted, and comes back when its lease is over unless it is closed.
-- Answers the number of the try, or 0 when there is nothing to send now.
-- ARGV: mailbox, id, lease, most tries
despite_full_memory()
local mail, id, key = mail_key(ARGV[1]), ARGV[2], job_key(ARGV[2])
local due = redis.call('ZSCORE', mail, id)
if not due or tonumber(due) > now then return 0 end
local found = redis.call('HMGET', key, 'state', 'letter_tries')
if found[1] == 'queued' or found[1] == 'running' then return 0 end
local tries = is_number(found[2]) and tonumber(found[2]) or found[2] and math.huge or 0
if not found[1] or tries >= tonumber(ARGV[4]) then
  redis.call('ZREM', mail, id)  -- its job is forgotten, or nobody lives to tell that it was sent
  return 0
end
redis.call('ZADD', mail, now + ARGV[3], id)
return redis.call('HINCRBY', key, 'letter_tries', 1)
