-- mend: sets free = allocated - sold - live for each item, after somebody edited it by hand (H11).
--
-- Guarantee: refused unless the lane stands at the expected seq; no hold is lost; I2 holds afterwards.
--
-- KEYS
--   [1] lane: hash of meta, free and live units
-- ARGV
--   [1] expected settled seq
--   [2..] 2 per item: item, allocated minus sold
-- Replies
--   NOTLOADED: nothing changed
--   {1 DONE, settled seq, then per item that was wrong: item, what it was (text), what it is}
--   {0 BEHIND, settled seq as it is}: nothing changed
local BEHIND, DONE = 0, 1
local FIXED, EACH = 1, 2

local expected = tonumber(ARGV[1])
if not expected or (#ARGV - FIXED) % EACH ~= 0 then
  return redis.error_reply('ERR mend: wrong arguments')
end
local meta = redis.call('HMGET', KEYS[1], 'loaded', 'settled')
local settled = tonumber(meta[2])
if meta[1] ~= '1' or not settled then
  return redis.error_reply('NOTLOADED the lane is not loaded')
end
if settled ~= expected then return { BEHIND, settled } end
local reply = { DONE, expected }
for i = FIXED + 1, #ARGV, EACH do
  local item = ARGV[i]
  local was = redis.call('HMGET', KEYS[1], 'f:' .. item, 'l:' .. item)
  local live = tonumber(was[2]) or 0
  local free = tonumber(ARGV[i + 1]) - live
  if tonumber(was[1]) ~= free or not was[2] then
    redis.call('HSET', KEYS[1], 'f:' .. item, free, 'l:' .. item, live)
    reply[#reply + 1] = item
    reply[#reply + 1] = was[1] or ''
    reply[#reply + 1] = free
  end
end
return reply
