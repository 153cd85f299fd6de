-- settle: applies committed events in order, then resolutions, and takes what they decide from the intents (R8).
--
-- Guarantee: all or nothing, and once: refused unless the lane stands at the expected seq. Complete for ids that this
-- server has never heard of. I2 holds for the new seq. A record that has the event already (somebody turned the seq back)
-- moves no units again.
--
-- KEYS
--   [1] lane: hash of meta, free and live units, units given and received
--   [2] holds: hash of records
--   [3] due: sorted set of deadlines
--   [4] visitors: hash of counters
--   [5] confirming: set of undecided intents
-- ARGV
--   [1] expected settled seq
--   [2] number of events: they are expected + 1, + 2, ...
--   [3] number of resolutions
--   [4..] 7 per event, then 7 per resolution: id (16 bytes), state letter after it (s, r or x; + adds stock and < adds
--         another lane's units, both have lines only; > gives units to another lane and - to nobody, after them the state
--         is s), visitor (16 bytes), fingerprint (8 bytes), pass number or '', "seq;at_ms;why", lines; then the ids of cancels decided
-- Replies
--   NOTLOADED: nothing changed
--   {1 SETTLED, settled seq}
--   {0 BEHIND, settled seq as it is}: nothing changed
local BEHIND, SETTLED = 0, 1
local FIXED, EACH = 3, 7

local expected, events, resolutions = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
if not (expected and events and resolutions) then
  return redis.error_reply('ERR settle: wrong arguments')
end
local last = FIXED + EACH * (events + resolutions)
if #ARGV < last then
  return redis.error_reply('ERR settle: wrong arguments')
end
local meta = call('HMGET', KEYS[1], 'loaded', 'settled')
local settled = tonumber(meta[2])
if meta[1] ~= '1' or not settled then return not_loaded() end
if settled ~= expected then return { BEHIND, settled } end

local ids = {}
for i = FIXED + 1, last, EACH do
  if ARGV[i] ~= '' then
    ids[#ids + 1] = ARGV[i]
    want_visitor(ARGV[i + 2])
  end
  if not taken_apart[ARGV[i + 6]] then want_items(lines_of(ARGV[i + 6])) end
end
local records = read(KEYS[2], ids)
local known = {}
for i = 1, #ids do
  known[ids[i]] = records[i]
  want_live(records[i])
end
read_stock(KEYS[1])
read_visitors(KEYS[4])

local written, written_ids, rem, decided = {}, {}, {}, {}

-- Units given to (g) and received from (r) other lanes, ever.
local moved, moved_fields = {}, {}
local function count_moved(kind, lines)
  for i = 1, #lines, 2 do
    local field = kind .. lines[i]
    if not moved[field] then
      moved[field] = 0
      moved_fields[#moved_fields + 1] = field
    end
    moved[field] = moved[field] + lines[i + 1]
  end
end

-- The record after a decision. A refused one keeps what it had claimed, for whoever asks.
local function decide(i, old)
  local id, state, pass, fingerprint, text = ARGV[i], ARGV[i + 1], ARGV[i + 4], ARGV[i + 3], ARGV[i + 6]
  if old then
    local before = sub(old, 1, 1)
    if before == 'h' or before == 'p' or before == 'e' then rem[#rem + 1] = id end
    if state == 'r' then
      fingerprint = sub(old, 18, 25)
      pass, text = rest_of(old)
    end
  end
  local record = state .. ARGV[i + 2] .. fingerprint .. NO_DEADLINE .. pass .. ';' .. ARGV[i + 5] .. ';' .. text
  if state == '>' or state == '-' then record = 's' .. sub(record, 2) end
  if not written[id] then written_ids[#written_ids + 1] = id end
  written[id] = record
  known[id] = record
end

-- An id is booked or given away once, and cancelled once, for ever (R1).
local function has_happened(old, state)
  local now = old and sub(old, 1, 1)
  if state == 'x' or state == 'r' then return state == 'x' and now == 'x' end
  return now == 's' or now == 'x'
end

local function apply(i)
  local id, state, name, pass = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 4]
  local lines = lines_of(ARGV[i + 6])
  if state == '+' or state == '<' then
    move(lines, 1, 0)
    if state == '<' then count_moved('r:', lines) end
    return
  end
  local old, visitor = known[id], visitors[name]
  if has_happened(old, state) then
    decided[#decided + 1] = state == 'x' and 'x' .. id or id
    return
  end
  if old then give_back(old) end
  if state == 's' then
    move(lines, -1, 0)
    visitor.units = visitor.units + lines.units
    visitor.changed = true
    if newer(pass, visitor.done) then visitor.done = pass end
    -- Without passes a booking is bounded by the stock, not by the number of holds.
    if old and pass == '' and visitor.pass == '' and visitor.made > 0 then visitor.made = visitor.made - 1 end
  elseif state == 'x' then
    move(lines, 1, 0)
    visitor.units = visitor.units - lines.units
    visitor.changed = true
    forget_if_empty(visitor)
    decided[#decided + 1] = 'x' .. id
  elseif state == '>' or state == '-' then
    move(lines, -1, 0)
    if state == '>' then count_moved('g:', lines) end
  end
  decide(i, old)
  decided[#decided + 1] = id
end

local resolved = FIXED + EACH * events
for i = FIXED + 1, resolved, EACH do apply(i) end
for i = resolved + 1, last, EACH do
  local old = known[ARGV[i]]
  if old and sub(old, 1, 1) == 'c' then
    give_back(old)
    decide(i, old)
  end
  decided[#decided + 1] = ARGV[i]
end
for i = last + 1, #ARGV do decided[#decided + 1] = 'x' .. ARGV[i] end

local totals, before = {}, read(KEYS[1], moved_fields)
for i = 1, #moved_fields do
  totals[2 * i - 1] = moved_fields[i]
  totals[2 * i] = (tonumber(before[i]) or 0) + moved[moved_fields[i]]
end

local set = {}
for i = 1, #written_ids do
  set[2 * i - 1] = written_ids[i]
  set[2 * i] = written[written_ids[i]]
end
write('HSET', KEYS[2], set)
write('ZREM', KEYS[3], rem)
write('SREM', KEYS[5], decided)
write_visitors(KEYS[4])
write('HSET', KEYS[1], totals)
write_stock(KEYS[1], true, expected + events)
return { SETTLED, expected + events }
