-- confirm: stops the clock of a group of holds and notes them as intents for the ledger.
--
-- Guarantee: whatever is answered with a record in state c is among the intents afterwards; a hold that is missing or was
-- released becomes a record of no units, so that the ledger decides (R1, R2); units stay claimed, I2 holds.
--
-- KEYS
--   [1] lane: hash of meta, number of edits
--   [2] holds: hash of records
--   [3] due: sorted set of deadlines
--   [4] visitors: hash of counters
--   [5] confirming: set of undecided intents
-- ARGV
--   [1] intents, at most
--   [2] confirms of unknown holds per pass, at most
--   [3..] 3 per request: id (16 bytes), visitor (16 bytes), pass number or ''
-- Replies
--   NOTLOADED: nothing changed
--   {now_ms, one per request}: the record as it stands afterwards (text), or one of
--   1 FULL: too many intents
--   2 FOREIGN: another visitor's hold
--   3 TOO_MANY: confirms of unknown holds
local FULL, FOREIGN, TOO_MANY = 1, 2, 3
local FIXED, EACH = 2, 3

local most, unknown_most = tonumber(ARGV[1]), tonumber(ARGV[2])
if not (most and unknown_most) or (#ARGV - FIXED) % EACH ~= 0 then
  return redis.error_reply('ERR confirm: wrong arguments')
end
local now = clock()
local meta = call('HMGET', KEYS[1], 'loaded', 'edits')
if meta[1] ~= '1' then return not_loaded() end

local ids = {}
for i = FIXED + 1, #ARGV, EACH do ids[#ids + 1] = ARGV[i] end
local records = read(KEYS[2], ids)
local known = {}
for i = 1, #ids do
  known[ids[i]] = records[i]
  if not records[i] or sub(records[i], 1, 1) == 'e' then want_visitor(ARGV[FIXED + (i - 1) * EACH + 2]) end
end
read_visitors(KEYS[4])
local intents = call('SCARD', KEYS[5])

local set, rem, add = {}, {}, {}
local replies = { now }

-- A record of no units; counted, as nothing else bounds them.
local function unknown(record, id, name, pass)
  local visitor = visitors[name]
  if intents >= most then return FULL end
  if visitor.unknown >= unknown_most and not newer(pass, visitor.pass) then return TOO_MANY end
  count_under(visitor, pass)
  visitor.unknown = visitor.unknown + 1
  if record then rem[#rem + 1] = id end
  local fingerprint = record and sub(record, 18, 25) or '\0\0\0\0\0\0\0\0'
  return 'c' .. name .. fingerprint .. NO_DEADLINE .. pass .. ';;;;'
end

for i = FIXED + 1, #ARGV, EACH do
  local id, name, pass = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local record = known[id]
  local state, reply = record and sub(record, 1, 1), record
  if record and sub(record, 2, 17) ~= name then
    reply = FOREIGN
  elseif state == 'h' or state == 'p' then
    if intents >= most then
      reply = FULL
    else
      reply = 'c' .. sub(record, 2, 25) .. NO_DEADLINE .. sub(record, 39)
      rem[#rem + 1] = id
    end
  elseif not record or state == 'e' then
    reply = unknown(record, id, name, pass)
  end
  if reply ~= record and type(reply) == 'string' then
    known[id] = reply
    intents = intents + 1
    set[#set + 1] = id
    set[#set + 1] = reply
  end
  if type(reply) == 'string' and sub(reply, 1, 1) == 'c' then add[#add + 1] = id end
  replies[#replies + 1] = reply
end

-- Records that move from one index to the other are an edit for who counts them.
if #set > 0 then call('HSET', KEYS[1], 'edits', (tonumber(meta[2]) or 0) + 1) end
write('HSET', KEYS[2], set)
write('ZREM', KEYS[3], rem)
write('SADD', KEYS[5], add)
write_visitors(KEYS[4])
return replies
