-- include: base/keys
-- Uploads of an owner, and which jobs have used them. That stands in the snapshot of an upload as `used_by`: ids of jobs,
-- and a '+' as long as none has used it since it was added.

local NOT_USED = '+'
local MOST_USERS = 20  -- jobs of an upload that are known, the latest ones

-- Whether a job has ended, or is not known any more; of one that is damaged nothing else is known.
local function has_ended(id)
  return redis.pcall('HEXISTS', job_key(id), 'ended_at') ~= 0 or redis.call('EXISTS', job_key(id)) == 0
end

-- Names the jobs that have used an upload and have not ended, each behind a blank.
local function users_of(snapshot)
  local users = {''}
  for id in string.gmatch(string.match(snapshot, '"used_by":"([^"]*)"') or '', '[^ +]+') do
    if not has_ended(id) then table.insert(users, id) end
  end
  if #users > MOST_USERS then users = {'', unpack(users, #users - MOST_USERS + 2)} end
  return table.concat(users, ' ')
end

local function with_users(snapshot, users)
  return (string.gsub(snapshot, ',?"used_by":"[^"]*"', ''):gsub('}$', ',"used_by":"' .. users .. '"}'))
end

-- Whether only jobs that have ended have used an upload; of one that an older version has added that is not known.
local function was_used(snapshot)
  local users = string.match(snapshot, '"used_by":"([^"]*)"')
  return users and not string.find(users, NOT_USED, 1, true) and users_of(snapshot) == ''
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
