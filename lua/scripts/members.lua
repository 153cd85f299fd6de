-- members: notes that a process is alive, and tells which ones are.
--
-- Guarantee: a hint by this server's clock; nobody owns anything because of it.
--
-- KEYS
--   [1] members: sorted set of processes by the time until which they count
-- ARGV
--   [1] the process's token
--   [2] milliseconds it counts; 0: it goes
-- Replies
--   {tokens of the processes alive, in their order}
local ttl = tonumber(ARGV[2])
if #ARGV ~= 2 or not ttl then
  return redis.error_reply('ERR members: wrong arguments')
end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if ttl > 0 then
  redis.call('ZADD', KEYS[1], now + ttl, ARGV[1])
  redis.call('PEXPIRE', KEYS[1], 2 * ttl)
else
  redis.call('ZREM', KEYS[1], ARGV[1])
end
local alive = redis.call('ZRANGE', KEYS[1], 0, -1)
table.sort(alive)
return alive
