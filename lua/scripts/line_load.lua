-- line_load: takes a line over for a new owner, whether or not anything is there. Tickets that are there stay.
--
-- Guarantee: refused when the line belongs to a higher epoch, or stands at a later event than the caller's log. A damaged
-- key (of another type) holds nothing that anybody wrote: it is removed.
--
-- KEYS
--   [1] line: hash of meta and state
--   [2] tickets: hash of visitors' numbers
-- ARGV
--   [1] epoch: fence of the owner
--   [2] last event in this state
--   [3] frontier
--   [4] numbers that may have been given out, up to
--   [5] document for the readers
-- Replies
--   {1 DONE, epoch, settled seq}
--   {0 REFUSED, epoch, settled seq as they are}: nothing changed
local REFUSED, DONE = 0, 1

local epoch, settled = tonumber(ARGV[1]), tonumber(ARGV[2])
if not (epoch and settled) or #ARGV ~= 5 then
  return redis.error_reply('ERR line_load: wrong arguments')
end
for _, key in ipairs({ KEYS[1], KEYS[2] }) do
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'hash' and kind ~= 'none' then redis.call('UNLINK', key) end
end
local meta = redis.call('HMGET', KEYS[1], 'loaded', 'epoch', 'settled')
local epoch_there, settled_there = tonumber(meta[2]) or 0, tonumber(meta[3]) or 0
if epoch_there > epoch or settled_there > settled then return { REFUSED, epoch_there, settled_there } end
redis.call('HSET', KEYS[1], 'loaded', '1', 'epoch', ARGV[1], 'settled', ARGV[2], 'frontier', ARGV[3], 'numbers_to', ARGV[4], 'doc', ARGV[5])
return { DONE, epoch, settled }
