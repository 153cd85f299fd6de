-- line_unload: removes a line, when its sale is long over.
--
-- Guarantee: refused when the line belongs to a higher epoch. Afterwards everything answers NOTLOADED.
--
-- KEYS
--   [1] line: hash of meta and state
--   [2] tickets: hash of visitors' numbers
-- ARGV
--   [1] epoch: fence of the caller
-- Replies
--   {1 DONE}
--   {0 REFUSED}: nothing changed
local REFUSED, DONE = 0, 1

local epoch = tonumber(ARGV[1])
if not epoch or #ARGV ~= 1 then
  return redis.error_reply('ERR line_unload: wrong arguments')
end
if (tonumber(redis.call('HGET', KEYS[1], 'epoch')) or 0) > epoch then return { REFUSED } end
redis.call('UNLINK', KEYS[1], KEYS[2])
return { DONE }
