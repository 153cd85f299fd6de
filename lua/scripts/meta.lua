-- meta: reads what a lane's heartbeat needs.
--
-- Guarantee: changes nothing; answers also when the lane is not loaded; fails when a key is damaged (of another type).
--
-- KEYS
--   [1] lane: hash of meta
--   [2] holds: hash of records
--   [3] due: sorted set of deadlines
--   [4] confirming: set of undecided intents
--   [5] visitors: hash of counters
-- ARGV
--   [1] milliseconds behind its deadline after which a record is overdue
-- Replies
--   {now_ms, one of 0 EMPTY, 1 LOADING, 2 LOADED, epoch, settled seq (head while loading), chunks done, intents, records,
--    records due, records overdue}
local patience = tonumber(ARGV[1])
if not patience or #ARGV ~= 1 then
  return redis.error_reply('ERR meta: wrong arguments')
end
local EMPTY, LOADING, LOADED = 0, 1, 2

local meta = redis.call('HMGET', KEYS[1], 'loaded', 'epoch', 'settled', 'chunks')
local epoch, settled, chunks = tonumber(meta[2]), tonumber(meta[3]), tonumber(meta[4])
-- Without its figures a lane is as good as empty: load_begin takes it.
local state = EMPTY
if epoch and settled then
  if meta[1] == '1' then state = LOADED elseif meta[1] == '0' and chunks then state = LOADING end
end
redis.call('HLEN', KEYS[5])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return {
  now, state, epoch or 0, settled or 0, chunks or 0,
  redis.call('SCARD', KEYS[4]), redis.call('HLEN', KEYS[2]), redis.call('ZCARD', KEYS[3]),
  redis.call('ZCOUNT', KEYS[3], '-inf', now - patience),
}
