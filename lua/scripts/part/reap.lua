-- Shared by the scripts that reap: overdue holds end, old released records go. Bounded by the caller. Needs stock and fault.
-- Lists of what is to be written, in this order: HDEL holds, HSET holds, ZREM due, ZADD due.
local gone, set, rem, add = {}, {}, {}, {}
local reaped, purged = 0, 0

local function put(list, a, b)
  local n = #list
  list[n + 1] = a
  list[n + 2] = b
end

-- Notes what reap needs to have read.
local function want_overdue(records, count)
  for i = 1, count do
    local record = records[i]
    if record then
      want_live(record)
      if sub(record, 1, 1) == 'e' then want_visitor(sub(record, 2, 17)) end
    end
  end
end

-- Ends one hold that is overdue for certain, or removes one old record; returns the record as it is afterwards, or false.
local function reap(id, record, now, keep)
  local state = record and sub(record, 1, 1)
  local deadline = record and tonumber(sub(record, 26, 38))
  if state == 'h' or state == 'p' then
    local ends = ends_of(record)
    if ends > now then -- it was extended: look again then
      put(add, ends, id)
      return record
    end
    give_back(record)
    record = 'e' .. sub(record, 2)
    put(set, id, record)
    put(add, deadline + keep, id)
    reaped = reaped + 1
    return record
  end
  if state == 'e' then
    if deadline + keep > now then
      put(add, deadline + keep, id)
      return record
    end
    local visitor = visitors[sub(record, 2, 17)]
    if visitor.made > 0 and rest_of(record) == visitor.pass then
      visitor.made = visitor.made - 1
      visitor.changed = true
      forget_if_empty(visitor)
    end
    gone[#gone + 1] = id
    purged = purged + 1
    record = false
  end
  rem[#rem + 1] = id
  return record
end

local function has_reaped()
  return #rem + #add > 0
end

local function write_reaped(holds, due)
  write('HDEL', holds, gone)
  write('HSET', holds, set)
  write('ZREM', due, rem)
  write('ZADD', due, add)
end
