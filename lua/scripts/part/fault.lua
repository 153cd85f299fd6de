-- Shared by the scripts that end holds and refuse passes: what faults of ours add to a life (domain::fault). Needs base.
-- The text of what is known: "known to,fresh for,most credit,from,to,from,to,...", milliseconds; '' where nobody records faults.
local known_to, fresh_for, most_credit, windows = nil, 0, 0, {}
local function read_faults(text)
  local figures = {}
  for figure in gmatch(text, '%d+') do figures[#figures + 1] = tonumber(figure) end
  known_to, fresh_for, most_credit = figures[1], figures[2], figures[3]
  for i = 4, #figures do windows[i - 3] = figures[i] end
end

-- When what was given then and was to end then ends.
local function extended(given, expires)
  local credit, last = 0, expires
  for i = 1, #windows, 2 do
    local from, to = windows[i], windows[i + 1]
    if to > given then
      if from >= last or credit >= most_credit then break end
      credit = math.min(credit + to - math.max(from, given), most_credit)
      last = expires + credit
    end
  end
  return last
end

-- Up to which moment it is certain what has ended.
local function certain(now)
  if not known_to then return now end
  return math.min(now, math.max(known_to, now - most_credit))
end

-- Whether what is known is as fresh as it is while there are no faults.
local function is_fresh(now)
  return not known_to or now - known_to <= fresh_for
end

-- When a held or paying record ends. One that was written by an earlier version does not say since when it is held.
local function ends_of(record)
  local deadline = tonumber(sub(record, 26, 38))
  if #windows == 0 then return deadline end
  return extended(tonumber(match(record, '^[^;]*;[^;]*;(%d+);', 39)) or deadline, deadline)
end
