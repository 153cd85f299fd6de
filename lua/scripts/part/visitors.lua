-- Shared by the scripts that count per visitor.
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

-- Whoever has nothing left is forgotten, with the pass: at once, so that a later request of the group finds what it would find in
-- the next one.
local function is_empty(visitor)
  return visitor.units <= 0 and visitor.made == 0 and visitor.unknown == 0 and visitor.done == ''
end

local function forget_if_empty(visitor)
  if is_empty(visitor) then visitor.pass = '' end
end

local function write_visitors(key)
  local set, del = {}, {}
  for i = 1, #names do
    local visitor = visitors[names[i]]
    if visitor.changed then
      if visitor.units < 0 then visitor.units = 0 end
      if is_empty(visitor) then
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
