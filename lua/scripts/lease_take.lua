-- lease_take: takes a lease, or renews it for its owner (R5).
--
-- Guarantee: one owner at a time by this server's clock; who can write is decided by the ledger's fence alone. What is no
-- lease (another type, or a text that does not run out soon) is nobody's: it gives way.
--
-- KEYS
--   [1] lease: text
-- ARGV
--   [1] owner's token
--   [2] milliseconds to live
-- Replies
--   {1 MINE}
--   {0 OTHER, its owner's token, milliseconds it still lives}: nothing changed
local OTHER, MINE = 0, 1
-- A program whose leases live longer is still heard.
local longest = 10

local ttl = tonumber(ARGV[2])
if #ARGV ~= 2 or not ttl then
  return redis.error_reply('ERR lease_take: wrong arguments')
end
local owner = redis.call('TYPE', KEYS[1]).ok == 'string' and redis.call('GET', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if owner and owner ~= ARGV[1] and left >= 0 and left <= longest * ttl then
  return { OTHER, owner, left }
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return { MINE }
