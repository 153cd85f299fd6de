-- recount: compares live units with the records that claim them, in parts.
--
-- Guarantee: changes nothing; parts that name the same number of edits are of one moment. Records are found by the
-- deadlines and the intents, where every live one stands.
--
-- KEYS
--   [1] lane: hash of meta, free and live units, number of edits
--   [2] holds: hash of records
--   [3] due: sorted set of deadlines
--   [4] confirming: set of undecided intents
-- ARGV
--   [1] place among the deadlines to go on from, 0 at first
--   [2] cursor of the intents to go on from, 0 at first
--   [3] records to count, about
-- Replies
--   NOTLOADED
--   {1 LAST, number of edits, 0, 0, number of items, then per item: item, claimed by this part; then per item of the
--    lane: item, live (text)}
--   {0 MORE, number of edits, place to go on from, cursor to go on from, number of items, per item the same}
local MORE, LAST = 0, 1

local place, cursor, most = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
if not (place and tonumber(cursor) and most) or #ARGV ~= 3 then
  return redis.error_reply('ERR recount: wrong arguments')
end
local meta = call('HMGET', KEYS[1], 'loaded', 'edits')
if meta[1] ~= '1' then return not_loaded() end

local ids = call('ZRANGE', KEYS[3], place, place + most - 1)
local room, finished = most - #ids, MORE
place = place + #ids
if room > 0 then
  local scan = { '0', nil }
  if cursor == '0' and call('SCARD', KEYS[4]) <= room then
    scan[2] = call('SMEMBERS', KEYS[4])
  else
    scan = call('SSCAN', KEYS[4], cursor, 'COUNT', room)
  end
  cursor = scan[1]
  if cursor == '0' then finished = LAST end
  -- A cancel's member is longer than an id, and so no record's.
  for i = 1, #scan[2] do ids[#ids + 1] = scan[2][i] end
end

local records, claimed, counted, seen = read(KEYS[2], ids), {}, {}, {}
for i = 1, #ids do
  local record = not seen[ids[i]] and records[i]
  seen[ids[i]] = true
  if record and is_live(record) then
    local _, text = rest_of(record)
    local lines = lines_of(text)
    for k = 1, #lines, 2 do
      local item = lines[k]
      if not claimed[item] then counted[#counted + 1] = item end
      claimed[item] = (claimed[item] or 0) + lines[k + 1]
    end
  end
end

if finished == LAST then place, cursor = 0, '0' end
local reply = { finished, tonumber(meta[2]) or 0, place, cursor, #counted }
for i = 1, #counted do
  reply[#reply + 1] = counted[i]
  reply[#reply + 1] = claimed[counted[i]]
end
if finished == MORE then return reply end
local fields = call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  if sub(fields[i], 1, 2) == 'l:' then
    reply[#reply + 1] = sub(fields[i], 3)
    reply[#reply + 1] = fields[i + 1]
  end
end
return reply
