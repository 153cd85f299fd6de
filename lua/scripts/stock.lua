-- stock: reads what is free and live of every item of a lane, what it ever gave to and received from other lanes, and whether
-- somebody owns it.
--
-- Guarantee: changes nothing; one moment.
--
-- KEYS
--   [1] lane: hash of meta, free and live units, units given and received
--   [2] lease: text
-- ARGV
--   none
-- Replies
--   NOTLOADED
--   {now_ms, settled seq, 1 while the lane has an owner, then per item: item, free, live, given, received}; a figure that is no number reads 0, until mend sets it right
local fields = redis.call('HGETALL', KEYS[1])
local meta, free, live, given, received, items = {}, {}, {}, {}, {}, {}
for i = 1, #fields, 2 do
  local kind, item = string.match(fields[i], '^([flgr]):(.+)$')
  if kind == 'f' then
    free[item] = tonumber(fields[i + 1])
    items[#items + 1] = item
  elseif kind == 'l' then
    live[item] = tonumber(fields[i + 1])
  elseif kind == 'g' then
    given[item] = tonumber(fields[i + 1])
  elseif kind == 'r' then
    received[item] = tonumber(fields[i + 1])
  else
    meta[fields[i]] = fields[i + 1]
  end
end
if meta.loaded ~= '1' then
  return redis.error_reply('NOTLOADED the lane is not loaded')
end
local time = redis.call('TIME')
local reply = { time[1] * 1000 + math.floor(time[2] / 1000), tonumber(meta.settled), redis.call('EXISTS', KEYS[2]) }
for i = 1, #items do
  reply[#reply + 1] = items[i]
  reply[#reply + 1] = free[items[i]] or 0
  reply[#reply + 1] = live[items[i]] or 0
  reply[#reply + 1] = given[items[i]] or 0
  reply[#reply + 1] = received[items[i]] or 0
end
return reply
