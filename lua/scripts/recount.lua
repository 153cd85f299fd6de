-- recount: compares live units with the records that claim them.
--
-- Guarantee: changes nothing; one moment; refused when there is too much to count. Records are found by the deadlines and
-- the intents, where every live one stands.
--
-- KEYS
--   [1] lane: hash of meta, free and live units
--   [2] holds: hash of records
--   [3] due: sorted set of deadlines
--   [4] confirming: set of undecided intents
-- ARGV
--   [1] records to count, at most
-- Replies
--   NOTLOADED
--   {1 COUNTED, records looked at, then per item that is wrong: item, live, claimed}
--   {0 TOO_MANY, records there would be}
local TOO_MANY, COUNTED = 0, 1

local most = tonumber(ARGV[1])
if not most or #ARGV ~= 1 then
  return redis.error_reply('ERR recount: wrong arguments')
end
if redis.call('HGET', KEYS[1], 'loaded') ~= '1' then
  return redis.error_reply('NOTLOADED the lane is not loaded')
end
local records = redis.call('ZCARD', KEYS[3]) + redis.call('SCARD', KEYS[4])
if records > most then return { TOO_MANY, records } end

local claimed, seen = {}, {}
local function count(id)
  local record = not seen[id] and redis.call('HGET', KEYS[2], id)
  seen[id] = true
  local state = record and string.sub(record, 1, 1)
  if state == 'h' or state == 'p' or state == 'c' then
    local lines = string.match(record, '^[^;]*;[^;]*;[^;]*;[^;]*;(.*)$', 39)
    for item, units in string.gmatch(lines, '([^=,]+)=(%d+)') do
      claimed[item] = (claimed[item] or 0) + tonumber(units)
    end
  end
end
for _, id in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do count(id) end
-- A cancel's member is longer than an id, and so no record's.
for _, id in ipairs(redis.call('SMEMBERS', KEYS[4])) do count(id) end

local reply = { COUNTED, records }
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  local item = string.match(fields[i], '^l:(.+)$')
  if item then
    local live = tonumber(fields[i + 1]) or 0
    if live ~= (claimed[item] or 0) then
      reply[#reply + 1] = item
      reply[#reply + 1] = live
      reply[#reply + 1] = claimed[item] or 0
    end
  end
end
return reply
