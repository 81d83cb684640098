-- include: base/clock base/keys base/memory base/arguments
-- Holds places of owners who follow jobs, each for some time; those that were not held again are free.
--
-- Arguments:
--   for_ms  integer  for how long
--   most    integer  places of an owner, 0 for as many as are held already
--   then owner, place, …  digests of owners, and names of places
-- Answers: the places that an owner has too many of
-- Touches: owner:{o}:streams.
local for_ms, most = unpack(ARGV, 1, 2)

despite_full_memory()
most = tonumber(most)
local refused = {}
for owner, place in argument_pairs(3) do
  local streams = owner_key(owner, 'streams')
  redis.call('ZREMRANGEBYSCORE', streams, '-inf', now)
  if most > 0 and not redis.call('ZSCORE', streams, place) and redis.call('ZCARD', streams) >= most then
    refused[#refused + 1] = place
  else
    redis.call('ZADD', streams, now + for_ms, place)
    redis.call('PEXPIRE', streams, for_ms)
  end
end
return refused
