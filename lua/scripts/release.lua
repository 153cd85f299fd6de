-- release: ends a group of holds at their visitors' wish.
--
-- Guarantee: units of a held or paying record are free again, once; nothing else changes; I2 holds.
--
-- KEYS
--   [1] lane: hash of meta, free and live units
--   [2] holds: hash of records
--   [3] due: sorted set of deadlines
--   [4] visitors: hash of counters
-- ARGV
--   [1] milliseconds a released record is kept after its deadline
--   [2..] 2 per request: id (16 bytes), visitor (16 bytes)
-- Replies
--   NOTLOADED: nothing changed
--   {one per request}: the record of a hold that is confirming or decided (text), or one of
--   0 RELEASED: now or before
--   1 MISSING
--   2 FOREIGN: another visitor's hold
local RELEASED, MISSING, FOREIGN = 0, 1, 2
local FIXED, EACH = 1, 2

local keep = tonumber(ARGV[1])
if not keep or (#ARGV - FIXED) % EACH ~= 0 then
  return redis.error_reply('ERR release: wrong arguments')
end
local ids = {}
for i = FIXED + 1, #ARGV, EACH do ids[#ids + 1] = ARGV[i] end
local records = read(KEYS[2], ids)
local known = {}
for i = 1, #ids do
  known[ids[i]] = records[i]
  want_live(records[i])
end
if not read_stock(KEYS[1]) then return not_loaded() end
read_visitors(KEYS[4])

local set, add, replies = {}, {}, {}
for i = FIXED + 1, #ARGV, EACH do
  local id, record, reply = ARGV[i], known[ARGV[i]], nil
  local state = record and sub(record, 1, 1)
  if not record then
    reply = MISSING
  elseif sub(record, 2, 17) ~= ARGV[i + 1] then
    reply = FOREIGN
  elseif state == 'e' then
    reply = RELEASED
  elseif state == 'h' or state == 'p' then
    give_back(record)
    record = 'e' .. sub(record, 2)
    known[id] = record
    set[#set + 1] = id
    set[#set + 1] = record
    add[#add + 1] = tonumber(sub(record, 26, 38)) + keep
    add[#add + 1] = id
    reply = RELEASED
  else
    reply = record
  end
  replies[#replies + 1] = reply
end

write('HSET', KEYS[2], set)
write('ZADD', KEYS[3], add)
write_stock(KEYS[1], #set > 0)
write_visitors(KEYS[4])
return replies
