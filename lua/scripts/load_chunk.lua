-- load_chunk: writes a part of a lane's decided records and visitors.
--
-- Guarantee: refused unless epoch, head and the number of chunks done are as expected (H10).
--
-- KEYS
--   [1] lane: hash of meta
--   [2] holds: hash of records
--   [3] visitors: hash of counters
-- ARGV
--   [1] epoch
--   [2] head
--   [3] chunks done
--   [4] number of records
--   [5..] 7 per record as for settle, then 3 per visitor: visitor (16 bytes), units, highest ended pass or ''
-- Replies
--   {1 DONE}
--   {0 REFUSED}: nothing changed
local REFUSED, DONE = 0, 1
local FIXED, EACH = 4, 7

local records = tonumber(ARGV[4])
local last = records and FIXED + EACH * records
if not records or #ARGV < last or (#ARGV - last) % 3 ~= 0 then
  return redis.error_reply('ERR load_chunk: wrong arguments')
end
local meta = redis.call('HMGET', KEYS[1], 'loaded', 'epoch', 'settled', 'chunks')
if meta[1] ~= '0' or meta[2] ~= ARGV[1] or meta[3] ~= ARGV[2] or meta[4] ~= ARGV[3] then return { REFUSED } end
local holds, visitors = {}, {}
for i = FIXED + 1, last, EACH do
  holds[#holds + 1] = ARGV[i]
  holds[#holds + 1] = ARGV[i + 1] .. ARGV[i + 2] .. ARGV[i + 3] .. '0000000000000' .. ARGV[i + 4] .. ';' .. ARGV[i + 5] .. ';' .. ARGV[i + 6]
end
for i = last + 1, #ARGV, 3 do
  visitors[#visitors + 1] = ARGV[i]
  visitors[#visitors + 1] = ARGV[i + 1] .. ';0;0;;' .. ARGV[i + 2]
end
if #holds > 0 then redis.call('HSET', KEYS[2], unpack(holds)) end
if #visitors > 0 then redis.call('HSET', KEYS[3], unpack(visitors)) end
redis.call('HINCRBY', KEYS[1], 'chunks', 1)
return { DONE }
