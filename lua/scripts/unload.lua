-- unload: removes a lane, when its sale is long over or its figures cannot be trusted.
--
-- Guarantee: refused when the lane belongs to a higher epoch. Afterwards everything answers NOTLOADED. Removes damaged
-- keys (of another type) as well; a damaged lane belongs to nobody.
--
-- KEYS
--   [1] lane: hash of meta, free and live units
--   [2] holds: hash of records
--   [3] due: sorted set of deadlines
--   [4] visitors: hash of counters
--   [5] confirming: set of undecided intents
-- ARGV
--   [1] epoch: fence of the caller
-- Replies
--   {1 DONE}
--   {0 REFUSED}: nothing changed
local REFUSED, DONE = 0, 1

local epoch = tonumber(ARGV[1])
if not epoch or #ARGV ~= 1 then
  return redis.error_reply('ERR unload: wrong arguments')
end
local whole = redis.call('TYPE', KEYS[1]).ok == 'hash'
if whole and (tonumber(redis.call('HGET', KEYS[1], 'epoch')) or 0) > epoch then return { REFUSED } end
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5])
return { DONE }
