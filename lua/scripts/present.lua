-- present: restores the records of a group of tickets that visitors show (H18).
--
-- Guarantee: of two unused numbers of a visitor the lower one is recorded afterwards; a used one is never restored and
-- gives way; refused unless the epoch is the caller's.
--
-- KEYS
--   [1] line: hash of meta
--   [2] tickets: hash of visitors' numbers
-- ARGV
--   [1] epoch: fence of the owner
--   [2..] 4 per ticket: visitor (16 bytes), number, 1 when it is used, used number that gives way or ''
-- Replies
--   NOTLOADED: nothing changed
--   {1 PRESENTED, one per ticket: the visitor's number afterwards, 0 for none}
--   {0 WRONG_EPOCH, epoch of the line}: nothing changed
local WRONG_EPOCH, PRESENTED = 0, 1
local FIXED, EACH = 1, 4

if #ARGV < FIXED or (#ARGV - FIXED) % EACH ~= 0 then
  return redis.error_reply('ERR present: wrong arguments')
end
local epoch = epoch_of(KEYS[1])
if not epoch then return not_loaded() end
if epoch ~= ARGV[1] then return { WRONG_EPOCH, tonumber(epoch) or 0 } end
local numbers = read_numbers(KEYS[2], FIXED + 1, EACH)

local set, replies = {}, { PRESENTED }
for i = FIXED + 1, #ARGV, EACH do
  local name, number = ARGV[i], ARGV[i + 1]
  local old = numbers[name]
  if ARGV[i + 2] == '0' and (not old or old == ARGV[i + 3] or tonumber(number) < tonumber(old)) then
    numbers[name] = number
    set[#set + 1] = name
    set[#set + 1] = number
  end
  replies[#replies + 1] = tonumber(numbers[name]) or 0
end
write_numbers(KEYS[2], set)
return replies
