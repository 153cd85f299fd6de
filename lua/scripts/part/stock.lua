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

-- Reads the wanted items and one more field of the lane, whose value is returned.
local function read_stock(key, field)
  local fields = { field }
  for i = 1, #items do
    fields[2 * i] = 'f:' .. items[i]
    fields[2 * i + 1] = 'l:' .. items[i]
  end
  local values = read(key, fields)
  for i = 1, #items do
    free[items[i]] = tonumber(values[2 * i])
    live[items[i]] = tonumber(values[2 * i + 1])
  end
  return values[1]
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

-- Writes changed items and, when given, one more field.
local function write_stock(key, field, value)
  local pairs_of = {}
  if field then pairs_of = { field, value } end
  for i = 1, #changes do
    local item, n = changes[i], #pairs_of
    pairs_of[n + 1] = 'f:' .. item
    pairs_of[n + 2] = free[item]
    pairs_of[n + 3] = 'l:' .. item
    pairs_of[n + 4] = live[item]
  end
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
end
