-- reap: the ticker. Ends overdue holds, purges old released records, and puts forgotten intents back.
--
-- Guarantee: bounded; units of overdue holds are free again, once; every confirming record is among the intents after a
-- whole round of the cursor (R7); I2 holds.
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
--   [3] cursor: where to look for forgotten intents
--   [4] records to look through, about
-- Replies
--   NOTLOADED: nothing changed
--   {now_ms, holds ended, records purged, intents put back, 1 when more is overdue, next cursor (text; 0 after a round)}
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
local confirming, missing = {}, {}
for i = 2, #scan[2], 2 do
  if sub(scan[2][i], 1, 1) == 'c' then confirming[#confirming + 1] = scan[2][i - 1] end
end
if #confirming > 0 then
  local there = call('SMISMEMBER', KEYS[5], unpack(confirming))
  for i = 1, #confirming do
    if there[i] == 0 then missing[#missing + 1] = confirming[i] end
  end
end

for i = 1, #ids do reap(ids[i], records[i], now, keep) end
write_reaped(KEYS[2], KEYS[3])
write('SADD', KEYS[5], missing)
write_stock(KEYS[1])
write_visitors(KEYS[4])
return { now, reaped, purged, #missing, #ids == most and 1 or 0, scan[1] }
