-- include: base/clock base/keys base/memory base/hash
-- Takes the message of an ended job to be sent: it is counted, and comes back when its lease is over unless it is closed.
--
-- Arguments:
--   mailbox     text     of the chat gateway
--   id          text     the job
--   lease_ms    integer  how long the message is the taker's
--   most_tries  integer  after which a message is sent no more
--   taking      text     used once: the same one, when its answer was lost, is answered again and not counted
-- Answers:
--   number  of the try, from 1
--   0       there is nothing to send now
-- Touches: mail:{mailbox}, job:{id}.
local mailbox, id, lease_ms, most_tries, taking = unpack(ARGV)

despite_full_memory()
local mail, key = mail_key(mailbox), job_key(id)
local due = redis.call('ZSCORE', mail, id)
local job = read(key, 'state', 'letter_tries', 'letter_taking')
if due and job.letter_taking == taking then
  redis.call('ZADD', mail, now + lease_ms, id)
  return tonumber(job.letter_tries)
end
if not due or tonumber(due) > now then return 0 end
if job.state == 'queued' or job.state == 'running' then return 0 end
local tries = is_number(job.letter_tries) and tonumber(job.letter_tries) or job.letter_tries and math.huge or 0
if not job.state or tries >= tonumber(most_tries) then
  redis.call('ZREM', mail, id)  -- its job is forgotten, or the process that sent it died before it could say so
  return 0
end
redis.call('ZADD', mail, now + lease_ms, id)
redis.call('HSET', key, 'letter_taking', taking)
return redis.call('HINCRBY', key, 'letter_tries', 1)
