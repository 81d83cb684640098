-- include: base/clock base/hash
-- Since when some process of a sort has reached Redis without a gap.

-- Tells whether that is so for as long as the patience; only then a lease that has run out means that its holder is gone,
-- as every living one has renewed its own.
local function is_in_touch(key, patience)
  local contact = read(key, 'at', 'since')
  local gap = is_number(contact.at) and now - contact.at or math.huge
  local since = gap >= 0 and gap <= patience and tonumber(contact.since) or now  -- below 0: the clock was set back
  redis.call('HSET', key, 'at', now, 'since', since)
  return now - since >= patience
end
