-- include: base/keys base/memory
-- Takes a message out of its mailbox, also when it is asked again, and keeps what its session is to be told.
--
-- Arguments:
--   mailbox  text     of the chat gateway
--   id       text     the job
--   session  text     digest of the chat that is told something on its next turn, or ''
--   memo     text     what it is told
--   keep_ms  integer  how long the memo is kept
-- Answers:
--   1  the message was never taken to be sent
--   0  it was
-- Touches: mail:{mailbox}, memo:{mailbox}:{session}.
local mailbox, id, session, memo, keep_ms = unpack(ARGV)

despite_full_memory()
if redis.call('ZREM', mail_key(mailbox), id) == 1 and session ~= '' then
  local key = 'darkroom:memo:' .. mailbox .. ':' .. session
  redis.call('RPUSH', key, memo)
  redis.call('LTRIM', key, -20, -1)
  redis.call('PEXPIRE', key, keep_ms)
end
return tonumber(redis.call('HGET', job_key(id), 'letter_tries') or 0) == 0 and 1 or 0
