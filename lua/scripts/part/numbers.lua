-- Shared by the scripts that give and restore numbers.
local call = redis.call

local function not_loaded()
  return redis.error_reply('NOTLOADED the line is not loaded')
end

-- The line's epoch as text; false while it is not loaded.
local function epoch_of(key)
  local meta = call('HMGET', key, 'loaded', 'epoch')
  return meta[1] == '1' and meta[2]
end

-- Numbers by visitor. The visitors stand at the first argument and every few (each) behind it. What is no number was not
-- written by a script: its visitor has none.
local function read_numbers(key, first, each)
  local names, numbers = {}, {}
  for i = first, #ARGV, each do names[#names + 1] = ARGV[i] end
  if #names == 0 then return numbers end
  local known = call('HMGET', key, unpack(names))
  for i = 1, #names do
    if known[i] and #known[i] < 17 and string.find(known[i], '^%d+$') then numbers[names[i]] = known[i] end
  end
  return numbers
end

-- Writes pairs of visitor and number.
local function write_numbers(key, pairs_of)
  if #pairs_of > 0 then call('HSET', key, unpack(pairs_of)) end
end
