-- hold: decides a group of holds, in order; first ends a bounded number of overdue ones.
--
-- Guarantee: per request all lines or none; an id that has a record is answered from it, unless it was released; a later
-- request sees what an earlier one did; no hold ends that a fault may have extended; I2 holds before and after. Everything is
-- decided before the first write.
--
-- KEYS
--   [1] lane: hash of meta, free and live units
--   [2] holds: hash of records
--   [3] due: sorted set of deadlines
--   [4] visitors: hash of counters
-- ARGV
--   [1] milliseconds from now to the deadline
--   [2] units a visitor may have, or ''
--   [3] overdue records to look at, at most
--   [4] milliseconds a released record is kept after its deadline
--   [5] holds a pass, or a visitor without a pass, may make
--   [6] faults of ours, as far as they are known (part/fault.lua)
--   [7..] 5 per request: id (16 bytes), visitor (16 bytes), fingerprint (8 bytes), lines ("item=units,..."),
--         pass ("number given_ms expiry_ms") or ''
-- Replies
--   NOTLOADED: nothing changed
--   {now_ms, one per request}: the record that stands (text), or one of
--   0 HELD: held until now + ARGV[1]
--   1 KEY_REUSED: the id has another visitor or fingerprint
--   2 NO_SUCH_ITEM
--   3 PASS_DONE: ended by booking or leaving
--   4 PASS_EXPIRED: by this server's clock
--   5 TOO_MANY: holds for this pass or visitor
--   6 LIMIT: units for this visitor
--   7 SOLD_OUT: free and live units together are too few
--   8 ALL_HELD: too few are free, but live ones may come back
--   9 UNSURE: the pass has expired, unless a fault that is not known yet extends it
local HELD, KEY_REUSED, NO_SUCH_ITEM, PASS_DONE, PASS_EXPIRED, TOO_MANY, LIMIT, SOLD_OUT, ALL_HELD, UNSURE = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
local FIXED, EACH = 6, 5
local NO_FINGERPRINT = '\0\0\0\0\0\0\0\0'

local ttl, limit, keep, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[4]), tonumber(ARGV[5])
if not (ttl and keep and most) or #ARGV < FIXED or (#ARGV - FIXED) % EACH ~= 0 then
  return redis.error_reply('ERR hold: wrong arguments')
end
local now = clock()
read_faults(ARGV[6])
local overdue_by = certain(now)

-- Read everything: overdue records, then the requests' own, in one go.
local ids = call('ZRANGEBYSCORE', KEYS[3], '-inf', overdue_by, 'LIMIT', 0, ARGV[3])
local overdue = #ids
for i = FIXED + 1, #ARGV, EACH do
  ids[#ids + 1] = ARGV[i]
  want_visitor(ARGV[i + 1])
  if not taken_apart[ARGV[i + 3]] then want_items(lines_of(ARGV[i + 3])) end
end
local records = read(KEYS[2], ids)
want_overdue(records, overdue)
if not read_stock(KEYS[1]) then return not_loaded() end
read_visitors(KEYS[4])

local known = {}
for i = 1, #ids do known[ids[i]] = records[i] end
for i = 1, overdue do known[ids[i]] = reap(ids[i], known[ids[i]], overdue_by, keep) end

-- Why a hold of these lines by this visitor cannot be; nothing when it can.
local function refusal(visitor, lines, pass, given, expires)
  for k = 1, #lines, 2 do
    if not free[lines[k]] then return NO_SUCH_ITEM end
  end
  if pass ~= '' then
    if not newer(pass, visitor.done) then return PASS_DONE end
    local ends = extended(tonumber(given), tonumber(expires))
    if ends <= now then
      if ends <= overdue_by or is_fresh(now) then return PASS_EXPIRED end
      return UNSURE
    end
  end
  if visitor.made >= most and not newer(pass, visitor.pass) then return TOO_MANY end
  if limit and visitor.units + lines.units > limit then return LIMIT end
  local short = nil
  for k = 1, #lines, 2 do
    local units, there = lines[k + 1], free[lines[k]]
    if there < units then
      if there + live[lines[k]] < units then return SOLD_OUT end
      short = ALL_HELD
    end
  end
  return short
end

local deadline, held_since = text_of(now + ttl), ';;' .. text_of(now) .. ';;'
local replies = { now }
for i = FIXED + 1, #ARGV, EACH do
  local id, name, fingerprint, text = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local record, reply = known[id], nil
  if record then
    local print = sub(record, 18, 25)
    if sub(record, 2, 17) ~= name or (print ~= fingerprint and print ~= NO_FINGERPRINT) then
      reply = KEY_REUSED
    elseif sub(record, 1, 1) ~= 'e' then
      reply = record
    end
  end
  if not reply then
    local visitor, lines, pass, given, expires = visitors[name], lines_of(text), '', nil, nil
    if ARGV[i + 4] ~= '' then pass, given, expires = match(ARGV[i + 4], '^(%d+) (%d+) (%d+)$') end
    reply = refusal(visitor, lines, pass, given, expires)
    if not reply then
      count_under(visitor, pass)
      visitor.made = visitor.made + 1
      visitor.units = visitor.units + lines.units
      move(lines, -1, 1)
      record = 'h' .. name .. fingerprint .. deadline .. pass .. held_since .. text
      known[id] = record
      put(set, id, record)
      put(add, deadline, id)
      reply = HELD
    end
  end
  replies[#replies + 1] = reply
end

write_reaped(KEYS[2], KEYS[3])
write_stock(KEYS[1], has_reaped())
write_visitors(KEYS[4])
return replies
