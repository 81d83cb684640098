-- include: base/clock base/keys job/uploads
-- Keeps an owner's uploaded image, or renews it; a full Redis refuses it. Where the owner has as many as may be, those that
-- only ended jobs have used, or refused requests have brought, give way, the oldest first. Their files stay for a while, so their bytes count for the day.
--
-- Arguments:
--   owner         text     digest
--   sha256        text     of the image
--   snapshot      JSON     what is known of the image
--   retention_ms  integer  how long it is kept
--   most          integer  uploads of an owner
--   bytes         integer  of the image
--   most_bytes    integer  of all uploads of an owner, and of those that gave way today
--   is_sent_along  integer  1 if it came together with what it is for, and its id is told to nobody
-- Answers:
--   {'ok', 0}                        it is kept
--   {'too_many_uploads', seconds}    the owner has as many as may be, or more than a few while all have, until then
--   {'uploads_too_large', seconds}   the owner's have as many bytes as may be, until then
-- Touches: uploads, owner:{o}:uploads, owner:{o}:upload:{sha256}, owner:{o}:uploads_gone:{day}.
local owner, sha256, snapshot, retention_ms, most, bytes, most_bytes, is_sent_along = unpack(ARGV)

local MOST_IN_ALL = 20000  -- uploads of all owners: some 14 MB
local FEW = 10  -- uploads that an owner may have although there are as many as may be

local uploads = owner_key(owner, 'uploads')
local day = math.floor(now / DAY)
local gone = owner_key(owner, 'uploads_gone:' .. string.format('%.0f', day))

local function bytes_of(kept) return tonumber(string.match(snapshot_of(owner, kept), '"bytes":(%d+)') or 0) end

-- Lists the uploads that give way to one more; answers whether there are still too many.
local function choose(kept)
  local leaving = {}
  local function is_full()
    local left = #kept / 2 - #leaving
    return left >= tonumber(most) or (left >= FEW and redis.call('ZCARD', UPLOADS) - #leaving >= MOST_IN_ALL)
  end
  for place = 1, #kept, 2 do
    if not is_full() then break end
    if may_give_way(snapshot_of(owner, kept[place]), kept[place + 1] - retention_ms) then table.insert(leaving, kept[place]) end
  end
  return leaving, is_full()
end

-- Answers for how long there is no room for the bytes of one more, if there is none.
local function wait_for_bytes(kept)
  local of_gone = tonumber(redis.call('GET', gone) or 0)
  local sum = bytes + of_gone
  for place = 1, #kept, 2 do sum = sum + bytes_of(kept[place]) end
  if sum <= tonumber(most_bytes) then return nil end
  local until_ms = kept[2] and tonumber(kept[2]) or math.huge
  if of_gone > 0 or not kept[2] then until_ms = math.min(until_ms, (day + 1) * DAY) end
  return math.ceil((until_ms - now) / 1000)
end

-- Takes out those that give way.
local function let_go(leaving)
  for _, each in ipairs(leaving) do
    redis.call('INCRBY', gone, bytes_of(each))
    redis.call('PEXPIRE', gone, DAY)
    drop_upload(owner, each)
  end
end

-- Where there are too many uploads, the oldest of all gives way.
local function count_in_all()
  redis.call('ZADD', UPLOADS, now + retention_ms, owner .. ' ' .. sha256)
  redis.call('ZREMRANGEBYSCORE', UPLOADS, '-inf', now)
  redis.call('PEXPIRE', UPLOADS, retention_ms)
  if redis.call('ZCARD', UPLOADS) <= MOST_IN_ALL then return end
  drop_upload(string.match(redis.call('ZRANGE', UPLOADS, 0, 0)[1], '^(.*) (.*)$'))
end

local leaving = {}
if tonumber(redis.call('ZSCORE', uploads, sha256) or 0) <= now then
  local kept = redis.call('ZRANGEBYSCORE', uploads, '(' .. string.format('%.0f', now), '+inf', 'WITHSCORES')
  local is_full
  leaving, is_full = choose(kept)
  if is_full then return {'too_many_uploads', kept[2] and math.ceil((tonumber(kept[2]) - now) / 1000) or 0} end
  local wait_s = wait_for_bytes(kept)
  if wait_s then return {'uploads_too_large', wait_s} end
end
local before = snapshot_of(owner, sha256)
local is_to_stay = is_sent_along ~= '1' or (before ~= '' and has_mark(before, NOT_USED))
local users = (is_to_stay and NOT_USED or SENT_ALONG) .. users_of(before)
redis.call('SET', owner_key(owner, 'upload:' .. sha256), with_users(snapshot, users), 'PX', retention_ms)
redis.call('ZADD', uploads, now + retention_ms, sha256)
redis.call('ZREMRANGEBYSCORE', uploads, '-inf', now)  -- not before: a script that has taken away is not refused
redis.call('PEXPIRE', uploads, retention_ms)
let_go(leaving)
count_in_all()
return {'ok', 0}
