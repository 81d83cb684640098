-- Takes a letter out of its mailbox; answers whether it was there. What its session is to be told is kept for it.
-- ARGV: mailbox, id, session digest or '', memo, how long the memo is kept
despite_full_memory()
local was_there = redis.call('ZREM', mail_key(ARGV[1]), ARGV[2])
if was_there == 1 and ARGV[3] ~= '' then
  local key = 'darkroom:memo:' .. ARGV[1] .. ':' .. ARGV[3]
  redis.call('RPUSH', key, ARGV[4])
  redis.call('LTRIM', key, -20, -1)
  redis.call('PEXPIRE', key, ARGV[5])
end
return was_there
