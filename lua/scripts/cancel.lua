-- cancel: notes a group of cancels as intents for the ledger, whatever Redis knows of the ids (R6).
--
-- Guarantee: an id answered 0 is among the intents afterwards; nothing else changes.
--
-- KEYS
--   [1] lane: hash of meta
--   [2] confirming: set of undecided intents
-- ARGV
--   [1] intents, at most
--   [2..] 1 per request: id (16 bytes)
-- Replies
--   NOTLOADED: nothing changed
--   {one per request}, each one of
--   0 NOTED
--   1 FULL: too many intents
local NOTED, FULL = 0, 1
local FIXED, EACH = 1, 1

local most = tonumber(ARGV[1])
if not most or (#ARGV - FIXED) % EACH ~= 0 then
  return redis.error_reply('ERR cancel: wrong arguments')
end
if redis.call('HGET', KEYS[1], 'loaded') ~= '1' then
  return redis.error_reply('NOTLOADED the lane is not loaded')
end
local intents = redis.call('SCARD', KEYS[2])
local replies = {}
for i = FIXED + 1, #ARGV, EACH do
  local intent = 'x' .. ARGV[i]
  if redis.call('SISMEMBER', KEYS[2], intent) == 1 then
    replies[#replies + 1] = NOTED
  elseif intents >= most then
    replies[#replies + 1] = FULL
  else
    redis.call('SADD', KEYS[2], intent)
    intents = intents + 1
    replies[#replies + 1] = NOTED
  end
end
return replies
