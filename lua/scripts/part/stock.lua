-- Shared by the scripts that move units. Needs base and visitors.
-- Lines of the same text are taken apart once per call: {item, units, item, units, ..., units = sum}.
local taken_apart = {}
local function lines_of(text)
  local lines = taken_apart[text]
  if lines then return lines end
  lines = { units = 0 }
  for item, units in gmatch(text, '([^=,]+)=(%d+)') do
    units = tonumber(units)
    lines[#lines + 1] = item
    lines[#lines + 1] = units
    lines.units = lines.units + units
  end
  taken_apart[text] = lines
  return lines
end

-- Pass and lines of a record, as text.
local function rest_of(record)
  return match(record, '^([^;]*);[^;]*;[^;]*;[^;]*;(.*)$', 39)
end

local function is_live(record)
  local state = sub(record, 1, 1)
  return state == 'h' or state == 'p' or state == 'c'
end

-- Stock: wanted first, read together, changed here.
local edits = 0
local free, live, items, wanted, changed, changes = {}, {}, {}, {}, {}, {}
local function want_items(lines)
  for i = 1, #lines, 2 do
    local item = lines[i]
    if not wanted[item] then
      wanted[item] = true
      items[#items + 1] = item
    end
  end
end

-- Reads the wanted items and whether the lane is loaded, which is returned.
local function read_stock(key)
  local fields = { 'loaded', 'edits' }
  for i = 1, #items do
    fields[2 * i + 1] = 'f:' .. items[i]
    fields[2 * i + 2] = 'l:' .. items[i]
  end
  local values = read(key, fields)
  edits = tonumber(values[2]) or 0
  for i = 1, #items do
    free[items[i]] = tonumber(values[2 * i + 1])
    live[items[i]] = tonumber(values[2 * i + 2])
  end
  return values[1] == '1'
end

-- An item that has no figures (somebody removed them) starts from zero; mend sets it right.
local function move(lines, to_free, to_live)
  for i = 1, #lines, 2 do
    local item, units = lines[i], lines[i + 1]
    free[item] = (free[item] or 0) + to_free * units
    live[item] = (live[item] or 0) + to_live * units
    if not changed[item] then
      changed[item] = true
      changes[#changes + 1] = item
    end
  end
end

-- Writes changed items and, when given, the settled seq. Whatever changed is counted as an edit, also records that only
-- moved in an index: who counts records in several calls learns that they are not of one moment.
local function write_stock(key, moved, settled)
  local pairs_of = {}
  if settled then pairs_of = { 'settled', settled } end
  for i = 1, #changes do
    local item, n = changes[i], #pairs_of
    pairs_of[n + 1] = 'f:' .. item
    pairs_of[n + 2] = free[item]
    pairs_of[n + 3] = 'l:' .. item
    pairs_of[n + 4] = live[item]
  end
  if #pairs_of == 0 and not moved then return end
  pairs_of[#pairs_of + 1] = 'edits'
  pairs_of[#pairs_of + 1] = edits + 1
  write('HSET', key, pairs_of)
end

-- Notes what give_back needs to have read.
local function want_live(record)
  if record and is_live(record) then
    local _, text = rest_of(record)
    want_items(lines_of(text))
    want_visitor(sub(record, 2, 17))
  end
end

-- The units that a live record claims are free again.
local function give_back(record)
  if not is_live(record) then return end
  local _, text = rest_of(record)
  local lines = lines_of(text)
  move(lines, 1, -1)
  local visitor = visitors[sub(record, 2, 17)]
  visitor.units = visitor.units - lines.units
  visitor.changed = true
  forget_if_empty(visitor)
end
