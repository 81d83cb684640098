-- Puts a letter back that its channel has not taken: that is known, so the try does not count.
-- ARGV: mailbox, id, how long it waits
despite_full_memory()
if redis.call('ZSCORE', mail_key(ARGV[1]), ARGV[2]) and redis.call('EXISTS', job_key(ARGV[2])) == 1 then
  redis.call('ZADD', mail_key(ARGV[1]), now + ARGV[3], ARGV[2])
  redis.call('HINCRBY', job_key(ARGV[2]), 'letter_tries', -1)
end
