-- join: gives numbers to a group of visitors, in order.
--
-- Guarantee: a visitor who has a number keeps it, unless it is the used one that gives way; new numbers come from the
-- owner, first, first + 1, ..., each for one visitor (H15); refused unless the epoch is the caller's.
--
-- KEYS
--   [1] line: hash of meta
--   [2] tickets: hash of visitors' numbers
-- ARGV
--   [1] epoch: fence of the owner
--   [2] first new number
--   [3..] 2 per request: visitor (16 bytes), used number that gives way or ''
-- Replies
--   NOTLOADED: nothing changed
--   {1 JOINED, numbers used, one per request: the new number, or the known one below zero}
--   {0 WRONG_EPOCH, epoch of the line}: nothing changed
local WRONG_EPOCH, JOINED = 0, 1
local FIXED, EACH = 2, 2

local first = tonumber(ARGV[2])
if not first or (#ARGV - FIXED) % EACH ~= 0 then
  return redis.error_reply('ERR join: wrong arguments')
end
local epoch = epoch_of(KEYS[1])
if not epoch then return not_loaded() end
if epoch ~= ARGV[1] then return { WRONG_EPOCH, tonumber(epoch) or 0 } end
local numbers = read_numbers(KEYS[2], FIXED + 1, EACH)

local used, set, replies = 0, {}, { JOINED, 0 }
for i = FIXED + 1, #ARGV, EACH do
  local name = ARGV[i]
  local number = numbers[name]
  if number and number ~= ARGV[i + 1] then
    replies[#replies + 1] = -tonumber(number)
  else
    -- Written out in full: Lua would shorten a large number to 14 digits.
    numbers[name] = string.format('%.0f', first + used)
    set[#set + 1] = name
    set[#set + 1] = numbers[name]
    replies[#replies + 1] = first + used
    used = used + 1
  end
end
write_numbers(KEYS[2], set)
replies[2] = used
return replies
