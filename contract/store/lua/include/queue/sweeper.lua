-- include: base/clock base/keys base/contract base/contact
-- Which worker sweeps, and what it may judge.

-- A lease looks dead when its worker is, but also when no worker could reach Redis. So leases are judged only
-- when sweepers, of whichever worker, have reached Redis without a gap for so long that every living worker has renewed.
local function may_judge_leases(patience) return is_in_touch(CONTACT, patience) end

-- Whether a worker may sweep now. A newer version takes the lock over, as it may know more of the jobs; one that tells no
-- number is older than all.
local function may_sweep(worker)
  local holder = redis.call('GET', SWEEPER)
  return not holder or holder == worker or contract_of(redis.call('HGET', VERSIONS, holder) or '0') < CONTRACT
end

-- Forgets workers that are gone for an hour. Celery's table of mailboxes would keep the names of killed ones for ever.
local function forget_workers(most)
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', WORKERS, '-inf', now - 3600000, 'LIMIT', 0, most)) do
    redis.call('SREM', PIDBOXES, '::darkroom@' .. name .. '.celery.pidbox')
    redis.call('ZREM', WORKERS, name)
    redis.call('HDEL', SLOTS, name)
  end
  -- A sweeper of an older version does not know of versions.
  if redis.call('HLEN', VERSIONS) > redis.call('ZCARD', WORKERS) then
    for _, name in ipairs(redis.call('HKEYS', VERSIONS)) do
      if not redis.call('ZSCORE', WORKERS, name) then redis.call('HDEL', VERSIONS, name) end
    end
  end
end
