-- undecided: reads a part of the undecided intents, with their records (R7).
--
-- Guarantee: changes nothing; an intent that stays is read at least once in a round of the cursor.
--
-- KEYS
--   [1] lane: hash of meta
--   [2] holds: hash of records
--   [3] confirming: set of undecided intents
-- ARGV
--   [1] cursor
--   [2] intents to read, about
-- Replies
--   NOTLOADED
--   {next cursor (text; 0 after a round), then per intent: id of a confirm or 'x' + id of a cancel, record or nil}
if #ARGV ~= 2 then
  return redis.error_reply('ERR undecided: wrong arguments')
end
if redis.call('HGET', KEYS[1], 'loaded') ~= '1' then
  return redis.error_reply('NOTLOADED the lane is not loaded')
end
local scan = redis.call('SSCAN', KEYS[3], ARGV[1], 'COUNT', ARGV[2])
local members = scan[2]
local reply = { scan[1] }
if #members > 0 then
  local records = redis.call('HMGET', KEYS[2], unpack(members))
  for i = 1, #members do
    reply[#reply + 1] = members[i]
    reply[#reply + 1] = records[i]
  end
end
return reply
