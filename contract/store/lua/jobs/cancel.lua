-- include: base/keys base/memory base/hash job/finish
-- Cancels an owner's job, unless it is over.
--
-- Arguments:
--   id        text    the job
--   owner     text    digest, or '' for any owner
--   silently  0 or 1  whether its message is taken back
--   call      text    used once: the same one, when its answer was lost, is answered again
-- Answers:
--   nil    the owner has no such job
--   state  its state before: queued or running, else the terminal state in which it stays
-- Touches: job:{id} and its events, mail:{mailbox}; all that `finish` does.
local id, owner, silently, call = unpack(ARGV)

despite_full_memory()
local job = read(job_key(id), 'state', 'owner_digest', 'mailbox', 'ended_at', 'cancel')
if not job.state or (owner ~= '' and job.owner_digest ~= owner) then return false end
if job.cancel == call .. ' queued' then return 'queued' end
if job.cancel == call .. ' running' then return 'running' end
if job.ended_at then return job.state end  -- by its time: a newer version may have other states
if silently == '1' and job.mailbox then redis.call('ZREM', mail_key(job.mailbox), id) end
local before = job.state == 'queued' and 'queued' or 'running'
redis.call('HSET', job_key(id), 'cancel', call .. ' ' .. before)
finish(id, 'cancelled', '')
return before
