-- line_publish: writes a newer state of the line for everybody to read.
--
-- Guarantee: refused unless the epoch is the caller's, or when the line stands at a later event; fails when a key is
-- damaged (of another type).
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
--   NOTLOADED: nothing changed
--   {1 DONE, epoch, settled seq}
--   {0 REFUSED, epoch, settled seq as they are}: nothing changed
local REFUSED, DONE = 0, 1

local epoch, settled = tonumber(ARGV[1]), tonumber(ARGV[2])
if not (epoch and settled) or #ARGV ~= 5 then
  return redis.error_reply('ERR line_publish: wrong arguments')
end
local meta = redis.call('HMGET', KEYS[1], 'loaded', 'epoch', 'settled')
local epoch_there, settled_there = tonumber(meta[2]) or 0, tonumber(meta[3]) or 0
if meta[1] ~= '1' then
  return redis.error_reply('NOTLOADED the line is not loaded')
end
redis.call('HLEN', KEYS[2])
if epoch_there ~= epoch or settled_there > settled then return { REFUSED, epoch_there, settled_there } end
redis.call('HSET', KEYS[1], 'settled', ARGV[2], 'frontier', ARGV[3], 'numbers_to', ARGV[4], 'doc', ARGV[5])
return { DONE, epoch, settled }
