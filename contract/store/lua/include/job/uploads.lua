-- include: base/clock base/keys
-- Uploads of an owner, and which jobs have used them. That stands in the snapshot of an upload as `used_by`: ids of jobs,
-- and a '+' as long as none has used it since it was added, or a '~' if it was sent together with what it is for.

local NOT_USED, SENT_ALONG = '+', '~'
local SUBMIT_MS = 600000  -- after which what was sent along is not used any more: its request was refused
local MOST_USERS = 20  -- jobs of an upload that are known, the latest ones

-- Whether a job has ended, or is not known any more; of one that is damaged nothing else is known.
local function has_ended(id)
  return redis.pcall('HEXISTS', job_key(id), 'ended_at') ~= 0 or redis.call('EXISTS', job_key(id)) == 0
end

-- Names the jobs that have used an upload and have not ended, each behind a blank.
local function users_of(snapshot)
  local users = {''}
  for id in string.gmatch(string.match(snapshot, '"used_by":"([^"]*)"') or '', '[^ +~]+') do
    if not has_ended(id) then table.insert(users, id) end
  end
  if #users > MOST_USERS then users = {'', unpack(users, #users - MOST_USERS + 2)} end
  return table.concat(users, ' ')
end

local function with_users(snapshot, users)
  return (string.gsub(snapshot, ',?"used_by":"[^"]*"', ''):gsub('}$', ',"used_by":"' .. users .. '"}'))
end

local function has_mark(snapshot, mark)
  return string.find(string.match(snapshot, '"used_by":"([^"]*)"') or NOT_USED, mark, 1, true) ~= nil
end

-- Whether no job needs an upload that was added then: jobs that have ended have used it, or its request was refused. Of
-- one that an older version has added that is not known.
local function may_give_way(snapshot, added_at)
  if has_mark(snapshot, NOT_USED) or users_of(snapshot) ~= '' then return false end
  return not has_mark(snapshot, SENT_ALONG) or now - added_at > SUBMIT_MS
end

local function snapshot_of(owner, sha256)
  local snapshot = redis.pcall('GET', owner_key(owner, 'upload:' .. sha256))
  return type(snapshot) == 'string' and snapshot or ''
end

-- Notes that a job uses those of an owner's uploads that are among its snapshots.
local function use_uploads(owner, id, snapshots)
  for sha256 in string.gmatch(snapshots, '"sha256":%s*"(%x+)"') do
    local snapshot = snapshot_of(owner, sha256)
    if snapshot ~= '' then
      local users = users_of(snapshot) .. ' ' .. id
      redis.call('SET', owner_key(owner, 'upload:' .. sha256), with_users(snapshot, users), 'KEEPTTL')
    end
  end
end

local function drop_upload(owner, sha256)
  redis.call('ZREM', UPLOADS, owner .. ' ' .. sha256)
  redis.call('ZREM', owner_key(owner, 'uploads'), sha256)
  redis.call('DEL', owner_key(owner, 'upload:' .. sha256))
end
