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
local meta = redis.call('HMGET', KEYS[1], 'loaded', 'epoch')
if meta[1] ~= '1' then
  return redis.error_reply('NOTLOADED the line is not loaded')
end
if meta[2] ~= ARGV[1] then return { WRONG_EPOCH, tonumber(meta[2]) } end
local names, numbers = {}, {}
for i = FIXED + 1, #ARGV, EACH do names[#names + 1] = ARGV[i] end
if #names > 0 then
  local known = redis.call('HMGET', KEYS[2], unpack(names))
  for i = 1, #names do numbers[names[i]] = known[i] end
end

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
if #set > 0 then redis.call('HSET', KEYS[2], unpack(set)) end
return replies
