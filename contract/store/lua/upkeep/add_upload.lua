-- include: base/clock base/keys
-- Keeps an owner's uploaded image, or renews it; a full Redis refuses it.
--
-- Arguments:
--   owner         text     digest
--   sha256        text     of the image
--   snapshot      JSON     what is known of the image
--   retention_ms  integer  how long it is kept
--   most          integer  uploads of an owner
--   bytes         integer  of the image
--   most_bytes    integer  of all uploads of an owner
-- Answers:
--   {'ok', 0}                        it is kept
--   {'too_many_uploads', seconds}    the owner has as many as may be, or more than a few while all have, until then
--   {'uploads_too_large', seconds}   the owner's have as many bytes as may be, until then
-- Touches: uploads, owner:{o}:uploads, owner:{o}:upload:{sha256}.
local owner, sha256, snapshot, retention_ms, most, bytes, most_bytes = unpack(ARGV)

local MOST_IN_ALL = 20000  -- uploads of all owners: some 14 MB
local FEW = 10  -- uploads that an owner may have although there are as many as may be

local uploads = owner_key(owner, 'uploads')

-- Where there are too many uploads, the oldest of all gives way.
local function count_in_all()
  redis.call('ZADD', UPLOADS, now + retention_ms, owner .. ' ' .. sha256)
  redis.call('ZREMRANGEBYSCORE', UPLOADS, '-inf', now)
  redis.call('PEXPIRE', UPLOADS, retention_ms)
  if redis.call('ZCARD', UPLOADS) <= MOST_IN_ALL then return end
  local whose, which = string.match(redis.call('ZPOPMIN', UPLOADS)[1], '^(.*) (.*)$')
  redis.call('ZREM', owner_key(whose, 'uploads'), which)
  redis.call('DEL', owner_key(whose, 'upload:' .. which))
end

if tonumber(redis.call('ZSCORE', uploads, sha256) or 0) <= now then
  local kept = redis.call('ZRANGEBYSCORE', uploads, '(' .. string.format('%.0f', now), '+inf', 'WITHSCORES')
  local sum = tonumber(bytes)
  for place = 1, #kept, 2 do
    local text = redis.call('GET', owner_key(owner, 'upload:' .. kept[place]))
    sum = sum + tonumber(text and text:match('"bytes":(%d+)') or 0)
  end
  local wait_s = kept[2] and math.ceil((tonumber(kept[2]) - now) / 1000) or 0
  local is_crowded = #kept / 2 >= FEW and redis.call('ZCARD', UPLOADS) >= MOST_IN_ALL
  if #kept / 2 >= tonumber(most) or is_crowded then
    return {'too_many_uploads', wait_s}
  elseif sum > tonumber(most_bytes) then
    return {'uploads_too_large', wait_s}
  end
end
redis.call('SET', owner_key(owner, 'upload:' .. sha256), snapshot, 'PX', retention_ms)
redis.call('ZADD', uploads, now + retention_ms, sha256)
redis.call('ZREMRANGEBYSCORE', uploads, '-inf', now)  -- not before: a script that has taken away is not refused
redis.call('PEXPIRE', uploads, retention_ms)
count_in_all()
return {'ok', 0}
