-- include: base/clock base/keys
-- Keeps an owner's uploaded image, or renews it; a full Redis refuses it.
--
-- Arguments:
--   owner         text     digest
--   sha256        text     of the image
--   snapshot      JSON     what is known of the image
--   retention_ms  integer  how long it is kept
--   most          integer  uploads of an owner
-- Answers:
--   'ok'                it is kept
--   'too_many_uploads'  the owner has as many as may be
-- Touches: owner:{o}:uploads, owner:{o}:upload:{sha256}.
local owner, sha256, snapshot, retention_ms, most = unpack(ARGV)

local uploads = owner_key(owner, 'uploads')
local is_known = (tonumber(redis.call('ZSCORE', uploads, sha256) or 0)) > now
if not is_known and redis.call('ZCOUNT', uploads, '(' .. string.format('%.0f', now), '+inf') >= tonumber(most) then
  return 'too_many_uploads'
end
redis.call('SET', owner_key(owner, 'upload:' .. sha256), snapshot, 'PX', retention_ms)
redis.call('ZADD', uploads, now + retention_ms, sha256)
redis.call('ZREMRANGEBYSCORE', uploads, '-inf', now)
redis.call('PEXPIRE', uploads, retention_ms)
return 'ok'
