-- include: base/clock base/keys base/memory
-- Puts a message back that its channel has not taken: that is known, so the try does not count. A repeat changes nothing.
--
-- Arguments:
--   mailbox  text     of the chat gateway
--   id       text     the job
--   wait_ms  integer  after which the message is due again
--   taking   text     by which the message was taken
-- Answers: nil.
-- Touches: mail:{mailbox}, job:{id}.
local mailbox, id, wait_ms, taking = unpack(ARGV)

despite_full_memory()
if redis.call('ZSCORE', mail_key(mailbox), id) and redis.call('HGET', job_key(id), 'letter_taking') == taking then
  redis.call('ZADD', mail_key(mailbox), now + wait_ms, id)
  redis.call('HDEL', job_key(id), 'letter_taking')
  redis.call('HINCRBY', job_key(id), 'letter_tries', -1)
end
