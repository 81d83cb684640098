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
--   {'too_many_uploads', seconds}    the owner has as many as may be, until then
--   {'uploads_too_large', seconds}   the owner's have as many bytes as may be, until then
-- Touches: owner:{o}:uploads, owner:{o}:upload:{sha256}.
local owner, sha256, snapshot, retention_ms, most, bytes, most_bytes = unpack(ARGV)

local uploads = owner_key(owner, 'uploads')
if tonumber(redis.call('ZSCORE', uploads, sha256) or 0) <= now then
  local kept = redis.call('ZRANGEBYSCORE', uploads, '(' .. string.format('%.0f', now), '+inf', 'WITHSCORES')
  local sum = tonumber(bytes)
  for place = 1, #kept, 2 do
    local text = redis.call('GET', owner_key(owner, 'upload:' .. kept[place]))
    sum = sum + tonumber(text and text:match('"bytes":(%d+)') or 0)
  end
  local wait_s = kept[2] and math.ceil((tonumber(kept[2]) - now) / 1000) or 0
  if #kept / 2 >= tonumber(most) then
    return {'too_many_uploads', wait_s}
  elseif sum > tonumber(most_bytes) then
    return {'uploads_too_large', wait_s}
  end
end
redis.call('SET', owner_key(owner, 'upload:' .. sha256), snapshot, 'PX', retention_ms)
redis.call('ZADD', uploads, now + retention_ms, sha256)
redis.call('ZREMRANGEBYSCORE', uploads, '-inf', now)  -- not before: a script that has taken away is not refused
redis.call('PEXPIRE', uploads, retention_ms)
return {'ok', 0}
