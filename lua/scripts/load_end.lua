-- load_end: opens a lane after the last chunk of its load.
--
-- Guarantee: refused unless epoch, head and the number of chunks done are as expected (H10).
--
-- KEYS
--   [1] lane: hash of meta
-- ARGV
--   [1] epoch
--   [2] head
--   [3] chunks done
-- Replies
--   {1 DONE}
--   {0 REFUSED}: nothing changed
local REFUSED, DONE = 0, 1

if #ARGV ~= 3 then
  return redis.error_reply('ERR load_end: wrong arguments')
end
local meta = redis.call('HMGET', KEYS[1], 'loaded', 'epoch', 'settled', 'chunks')
if meta[1] ~= '0' or meta[2] ~= ARGV[1] or meta[3] ~= ARGV[2] or meta[4] ~= ARGV[3] then return { REFUSED } end
redis.call('HSET', KEYS[1], 'loaded', '1')
redis.call('HDEL', KEYS[1], 'chunks')
return { DONE }
