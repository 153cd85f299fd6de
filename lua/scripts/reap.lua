-- reap: the ticker. Ends overdue holds, purges old released records, and puts back what the indexes have lost.
--
-- Guarantee: bounded; units of overdue holds are free again, once; no hold ends that a fault may have extended; after a whole round of both cursors every confirming
-- record is among the intents (R7) and nothing else is but cancels, and every held, paying or released one stands among
-- the deadlines, no later than it ends (I5); I2 holds.
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
--   [5] cursor: where to look for intents that have no confirming record
--   [6] faults of ours, as far as they are known (part/fault.lua)
-- Replies
--   NOTLOADED: nothing changed
--   {now_ms, holds ended, records purged, intents put back, deadlines put back, 1 when more is overdue,
--    next cursor (text; 0 after a round), intents dropped, next cursor of the intents}
local most, keep = tonumber(ARGV[1]), tonumber(ARGV[2])
if not (most and keep and tonumber(ARGV[4])) or #ARGV ~= 6 then
  return redis.error_reply('ERR reap: wrong arguments')
end
local now = clock()
read_faults(ARGV[6])
local overdue_by = certain(now)
local ids = call('ZRANGEBYSCORE', KEYS[3], '-inf', overdue_by, 'LIMIT', 0, most)
local records = read(KEYS[2], ids)
want_overdue(records, #ids)
if not read_stock(KEYS[1]) then return not_loaded() end
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
    deadlines[#timed] = state == 'e' and tonumber(sub(record, 26, 38)) + keep or ends_of(record)
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
    if not there[i] or tonumber(there[i]) > deadlines[i] then put(lost, deadlines[i], timed[i]) end
  end
end

-- Members that nobody wrote would fill the set for ever: no settle knows them.
local intents = call('SSCAN', KEYS[5], ARGV[5], 'COUNT', ARGV[4])
local members, confirms, stray = intents[2], {}, {}
for i = 1, #members do
  local member = members[i]
  local id = #member == 17 and sub(member, 1, 1) == 'x' and sub(member, 2) or member
  if #id ~= 16 or not string.find(id, '^......[\128-\143].[\128-\191]') then
    stray[#stray + 1] = member
  elseif id == member then
    confirms[#confirms + 1] = member
  end
end
local named = read(KEYS[2], confirms)
for i = 1, #confirms do
  if not named[i] or sub(named[i], 1, 1) ~= 'c' then stray[#stray + 1] = confirms[i] end
end

write('ZADD', KEYS[3], lost)
for i = 1, #ids do reap(ids[i], records[i], overdue_by, keep) end
write_reaped(KEYS[2], KEYS[3])
write('SADD', KEYS[5], missing)
write('SREM', KEYS[5], stray)
write_stock(KEYS[1], has_reaped() or #lost + #missing + #stray > 0)
write_visitors(KEYS[4])
return { now, reaped, purged, #missing, #lost / 2, #ids == most and 1 or 0, scan[1], #stray, intents[1] }
