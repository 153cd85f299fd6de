-- load_begin: clears a lane and starts a load (R9).
--
-- Guarantee: refused when the lane is loaded, or a load of a higher epoch has begun; one without its figures is damaged
-- and belongs to nobody. Until load_end everything else answers NOTLOADED.
--
-- KEYS
--   [1] lane: hash of meta, free and live units, units given and received
--   [2] holds: hash of records
--   [3] due: sorted set of deadlines
--   [4] visitors: hash of counters
--   [5] confirming: set of undecided intents
-- ARGV
--   [1] epoch: fence of the loader
--   [2] head that the load is made of
--   [3..] 4 per item: item, free units, units ever given to and received from other lanes
-- Replies
--   {1 DONE}
--   {0 REFUSED}: nothing changed
local REFUSED, DONE = 0, 1
local FIXED, EACH = 2, 4

local epoch = tonumber(ARGV[1])
if not (epoch and tonumber(ARGV[2])) or (#ARGV - FIXED) % EACH ~= 0 then
  return redis.error_reply('ERR load_begin: wrong arguments')
end
local meta = redis.call('HMGET', KEYS[1], 'loaded', 'epoch', 'settled', 'chunks')
local theirs, settled, chunks = tonumber(meta[2]), tonumber(meta[3]), tonumber(meta[4])
local loaded, loading = meta[1] == '1', meta[1] == '0' and chunks
if theirs and settled and (loaded or (loading and theirs > epoch)) then return { REFUSED } end
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5])
redis.call('HSET', KEYS[1], 'loaded', '0', 'epoch', ARGV[1], 'settled', ARGV[2], 'chunks', '0')
for i = FIXED + 1, #ARGV, EACH do
  redis.call('HSET', KEYS[1], 'f:' .. ARGV[i], ARGV[i + 1], 'l:' .. ARGV[i], '0')
  if ARGV[i + 2] ~= '0' then redis.call('HSET', KEYS[1], 'g:' .. ARGV[i], ARGV[i + 2]) end
  if ARGV[i + 3] ~= '0' then redis.call('HSET', KEYS[1], 'r:' .. ARGV[i], ARGV[i + 3]) end
end
return { DONE }
