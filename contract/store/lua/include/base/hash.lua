-- Reading hashes by the names of their fields, and what is stored in a field.

local function named(values, names)
  local record = {}
  for i = 1, #names do record[names[i]] = values[i] end
  return record
end

-- Reads fields of a hash: `local job = read(key, 'state', 'fence')`, then job.state. A field that is not there is false.
local function read(key, ...) return named(redis.call('HMGET', key, ...), {...}) end

-- The same for a key that may be damaged: of one that is no hash, all fields are nil.
local function read_damaged(key, ...) return named(redis.pcall('HMGET', key, ...), {...}) end

-- The same as a list, for many fields that are looked at one after another.
local function read_list(key, ...) return redis.pcall('HMGET', key, ...) end

-- Reads what is stored of a call or an image; what is damaged must not keep its job from ending.
local function decoded(text)
  local ok, value = pcall(cjson.decode, text)
  return ok and type(value) == 'table' and value or {}
end

local function is_number(text) return type(text) == 'string' and #text <= 18 and string.match(text, '^%-?%d+$') ~= nil end
