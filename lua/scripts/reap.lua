-- reap: the ticker. Ends overdue holds, purges old released records, and puts back what the indexes have lost.
--
-- Guarantee: bounded; units of overdue holds are free again, once; after a whole round of the cursor every confirming
-- record is among the intents (R7), and every held, paying or released one among the deadlines (I5); I2 holds.
--
-- KEYS
--   [1] lane: hash of meta, free and live units
--   [2] holds: hash of records
--   [3] due: sorted set of deadlines
--   [4] visitors: hash of counters
--   [5] confirming: set of undecided intents
-- ARGV
--   [1] overdue records to look at, at most
--   [2] milliseconds a released record is kept after its deadline
--   [3] cursor: where to look for lost records
--   [4] records to look through, about
-- Replies
--   NOTLOADED: nothing changed
--   {now_ms, holds ended, records purged, intents put back, deadlines put back, 1 when more is overdue,
--    next cursor (text; 0 after a round)}
local most, keep = tonumber(ARGV[1]), tonumber(ARGV[2])
if not (most and keep and tonumber(ARGV[4])) or #ARGV ~= 4 then
  return redis.error_reply('ERR reap: wrong arguments')
end
local now = clock()
local ids = call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, most)
local records = read(KEYS[2], ids)
want_overdue(records, #ids)
if read_stock(KEYS[1], 'loaded') ~= '1' then return not_loaded() end
read_visitors(KEYS[4])

local scan = call('HSCAN', KEYS[2], ARGV[3], 'COUNT', ARGV[4])
local confirming, timed, deadlines = {}, {}, {}
for i = 2, #scan[2], 2 do
  local record = scan[2][i]
  local state = sub(record, 1, 1)
  if state == 'c' then
    confirming[#confirming + 1] = scan[2][i - 1]
  elseif state == 'h' or state == 'p' or state == 'e' then
    timed[#timed + 1] = scan[2][i - 1]
    deadlines[#timed] = sub(record, 26, 38)
  end
end
local missing, lost = {}, {}
if #confirming > 0 then
  local there = call('SMISMEMBER', KEYS[5], unpack(confirming))
  for i = 1, #confirming do
    if there[i] == 0 then missing[#missing + 1] = confirming[i] end
  end
end
if #timed > 0 then
  local there = call('ZMSCORE', KEYS[3], unpack(timed))
  for i = 1, #timed do
    if not there[i] then put(lost, deadlines[i], timed[i]) end
  end
end

write('ZADD', KEYS[3], lost)
for i = 1, #ids do reap(ids[i], records[i], now, keep) end
write_reaped(KEYS[2], KEYS[3])
write('SADD', KEYS[5], missing)
write_stock(KEYS[1])
write_visitors(KEYS[4])
return { now, reaped, purged, #missing, #lost / 2, #ids == most and 1 or 0, scan[1] }
