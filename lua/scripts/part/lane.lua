-- Shared by the lane's scripts. What a script reads is kept here, changed here, and written once at the end, after
-- everything has been decided: there is no rollback.
-- A record: state (1), visitor (2-17), fingerprint (18-25), deadline (26-38), then "pass;seq;at;why;lines".
-- States: h held, p paying, c confirming, s sold, r refused, e released, x cancelled. h, p and c claim units ("live").
local call, sub, match, gmatch, floor = redis.call, string.sub, string.match, string.gmatch, math.floor
local NO_DEADLINE = '0000000000000'
local MOST = 4000 -- values on Lua's stack at once; it takes 8000

local function clock()
  local time = call('TIME')
  return time[1] * 1000 + floor(time[2] / 1000)
end

local function not_loaded()
  return redis.error_reply('NOTLOADED the lane is not loaded')
end

-- A whole number as text. Lua writes them slowly, and most of a group's are the same.
local texts = {}
local function text_of(number)
  local text = texts[number]
  if not text then
    text = string.format('%.0f', number)
    texts[number] = text
  end
  return text
end

-- One variadic command for a list, or several for a very long one. MOST is even, so pairs stay together.
local function write(command, key, list)
  for i = 1, #list, MOST do
    call(command, key, unpack(list, i, math.min(i + MOST - 1, #list)))
  end
end

local function read(key, fields)
  if #fields == 0 then return {} end
  if #fields <= MOST then return call('HMGET', key, unpack(fields)) end
  local values = {}
  for i = 1, #fields, MOST do
    local part = call('HMGET', key, unpack(fields, i, math.min(i + MOST - 1, #fields)))
    for k = 1, #part do values[i + k - 1] = part[k] end
  end
  return values
end

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

-- Visitors: "units;made;unknown;pass;done", see lua::lane::VisitorCounts.
local visitors, names = {}, {}
local function want_visitor(name)
  if visitors[name] == nil then
    visitors[name] = false
    names[#names + 1] = name
  end
end

local function read_visitors(key)
  local values = read(key, names)
  for i = 1, #names do
    local units, made, unknown, pass, done
    if values[i] then units, made, unknown, pass, done = match(values[i], '^(%d+);(%d+);(%d+);(%d*);(%d*)$') end
    if units then
      visitors[names[i]] = { units = tonumber(units), made = tonumber(made), unknown = tonumber(unknown), pass = pass, done = done }
    else
      visitors[names[i]] = { units = 0, made = 0, unknown = 0, pass = '', done = '' }
    end
  end
end

local function write_visitors(key)
  local set, del = {}, {}
  for i = 1, #names do
    local visitor = visitors[names[i]]
    if visitor.changed then
      if visitor.units < 0 then visitor.units = 0 end
      if visitor.units == 0 and visitor.made == 0 and visitor.unknown == 0 and visitor.done == '' then
        del[#del + 1] = names[i]
      else
        local n = #set
        set[n + 1] = names[i]
        set[n + 2] = text_of(visitor.units) .. ';' .. text_of(visitor.made) .. ';' .. text_of(visitor.unknown) .. ';' .. visitor.pass .. ';' .. visitor.done
      end
    end
  end
  write('HSET', key, set)
  write('HDEL', key, del)
end

-- Whether the first pass number is higher than the second; any number is higher than none.
local function newer(pass, than)
  return pass ~= '' and (than == '' or tonumber(pass) > tonumber(than))
end

-- A visitor's counters belong to the highest pass seen.
local function count_under(visitor, pass)
  if newer(pass, visitor.pass) then
    visitor.pass, visitor.made, visitor.unknown = pass, 0, 0
  end
  visitor.changed = true
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
