-- Takes a letter out of its mailbox, also when it is asked again; answers whether nobody has taken it to send it.
-- What its session is to be told is kept for it.
-- ARGV: mailbox, id, session digest or '', memo, how long the memo is kept
despite_full_memory()
if redis.call('ZREM', mail_key(ARGV[1]), ARGV[2]) == 1 and ARGV[3] ~= '' then
  local key = 'darkroom:memo:' .. ARGV[1] .. ':' .. ARGV[3]
  redis.call('RPUSH', key, ARGV[4])
  redis.call('LTRIM', key, -20, -1)
  redis.call('PEXPIRE', key, ARGV[5])
end
return tonumber(redis.call('HGET', job_key(ARGV[2]), 'letter_tries') or 0) == 0 and 1 or 0
