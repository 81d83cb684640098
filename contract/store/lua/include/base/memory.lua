-- include: base/keys
-- What a script does so that it works also when Redis's memory is full.

-- Redis refuses a script's first write when its memory is full, but not one that only takes away, and
-- none after it. All scripts but submit begin so: what was accepted can always be brought to its end.
local function despite_full_memory() redis.call('ZREM', RUNNING, '') end
