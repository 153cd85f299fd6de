-- line_look: reads what a line's owner published, and how many visitors have a number.
--
-- Guarantee: changes nothing.
--
-- KEYS
--   [1] line: hash of meta and state
--   [2] tickets: hash of visitors' numbers
-- ARGV
--   none
-- Replies
--   NOTLOADED
--   {now_ms, epoch, settled seq, frontier, numbers_to, document (text), visitors with a number}
local line = redis.call('HMGET', KEYS[1], 'loaded', 'epoch', 'settled', 'frontier', 'numbers_to', 'doc')
if line[1] ~= '1' then
  return redis.error_reply('NOTLOADED the line is not loaded')
end
local time = redis.call('TIME')
return {
  time[1] * 1000 + math.floor(time[2] / 1000), tonumber(line[2]) or 0, tonumber(line[3]) or 0, tonumber(line[4]) or 0,
  tonumber(line[5]) or 0, line[6] or '', redis.call('HLEN', KEYS[2]),
}
