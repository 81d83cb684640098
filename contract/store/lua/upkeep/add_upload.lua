-- Keeps an owner's uploaded image, or renews it; a full Redis refuses it.
-- ARGV: owner digest, sha256, snapshot, how long, most uploads of an owner
local uploads, retention = owner_key(ARGV[1], 'uploads'), tonumber(ARGV[4])
local is_known = (tonumber(redis.call('ZSCORE', uploads, ARGV[2]) or 0)) > now
if not is_known and redis.call('ZCOUNT', uploads, '(' .. string.format('%.0f', now), '+inf') >= tonumber(ARGV[5]) then
  return 'too_many_uploads'
end
redis.call('SET', owner_key(ARGV[1], 'upload:' .. ARGV[2]), ARGV[3], 'PX', retention)
redis.call('ZADD', uploads, now + retention, ARGV[2])
redis.call('ZREMRANGEBYSCORE', uploads, '-inf', now)
redis.call('PEXPIRE', uploads, retention)
return 'ok'
