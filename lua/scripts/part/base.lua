-- Shared by the lane's scripts. What a script reads is kept here, changed here, and written once at the end, after
-- everything has been decided: there is no rollback.
-- A record: state (1), visitor (2-17), fingerprint (18-25), deadline (26-38), then "pass;seq;at;why;lines". Without a seq nothing is
-- decided, and at is when it was held.
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
