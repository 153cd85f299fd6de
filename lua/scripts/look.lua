-- look: reads records and visitors' counters.
--
-- Guarantee: changes nothing.
--
-- KEYS
--   [1] lane: hash of meta
--   [2] holds: hash of records
--   [3] visitors: hash of counters
-- ARGV
--   [1] number of records
--   [2..] 1 per record: id (16 bytes); then 1 per visitor (16 bytes)
-- Replies
--   NOTLOADED
--   {now_ms, one text or nil per record, one text or nil per visitor}
local FIXED = 1

local records = tonumber(ARGV[1])
if not records or #ARGV < FIXED + records then
  return redis.error_reply('ERR look: wrong arguments')
end
if redis.call('HGET', KEYS[1], 'loaded') ~= '1' then
  return redis.error_reply('NOTLOADED the lane is not loaded')
end
local time = redis.call('TIME')
local reply = { time[1] * 1000 + math.floor(time[2] / 1000) }
for i = FIXED + 1, #ARGV do
  local key = i <= FIXED + records and KEYS[2] or KEYS[3]
  reply[#reply + 1] = redis.call('HGET', key, ARGV[i])
end
return reply
