-- The time: milliseconds of Redis's own clock. No script reads a worker's clock.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local DAY = 86400000
