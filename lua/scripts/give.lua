-- give: claims free units for another lane, and notes the claim as an intent for the ledger (R11).
--
-- Guarantee: an id that has a record is answered from it; only units that are free beyond those to be kept are claimed;
-- whatever is answered with a record in state c is among the intents afterwards; I2 holds before and after.
--
-- KEYS
--   [1] lane: hash of meta, free and live units
--   [2] holds: hash of records
--   [3] confirming: set of undecided intents
-- ARGV
--   [1] intents, at most
--   [2] id (16 bytes)
--   [3] the other lane, as it stands in place of a visitor (16 bytes)
--   [4..] 3 per item: item, units wanted at most, free units to be kept
-- Replies
--   NOTLOADED: nothing changed
--   the record as it stands afterwards (text), or one of
--   1 FULL: too many intents
--   2 NOTHING: no wanted unit is free beyond those to be kept
--   3 FOREIGN: the record is not that lane's
local FULL, NOTHING, FOREIGN = 1, 2, 3
local FIXED, EACH = 3, 3

local most = tonumber(ARGV[1])
if not most or #ARGV < FIXED or (#ARGV - FIXED) % EACH ~= 0 then
  return redis.error_reply('ERR give: wrong arguments')
end
local id, name = ARGV[2], ARGV[3]
for i = FIXED + 1, #ARGV, EACH do want_items({ ARGV[i], 0 }) end
if not read_stock(KEYS[1]) then return not_loaded() end
local record = call('HGET', KEYS[2], id)
if record then
  if sub(record, 2, 17) ~= name then return FOREIGN end
  if sub(record, 1, 1) == 'c' then call('SADD', KEYS[3], id) end
  return record
end
if call('SCARD', KEYS[3]) >= most then return FULL end

local lines, text = {}, {}
for i = FIXED + 1, #ARGV, EACH do
  local item = ARGV[i]
  local units = math.min(tonumber(ARGV[i + 1]), (free[item] or 0) - tonumber(ARGV[i + 2]))
  if units > 0 then
    lines[#lines + 1] = item
    lines[#lines + 1] = units
    text[#text + 1] = item .. '=' .. text_of(units)
  end
end
if #lines == 0 then return NOTHING end
move(lines, -1, 1)
record = 'c' .. name .. '\0\0\0\0\0\0\0\0' .. NO_DEADLINE .. ';;;;' .. table.concat(text, ',')
call('HSET', KEYS[2], id, record)
call('SADD', KEYS[3], id)
write_stock(KEYS[1], true)
return record
