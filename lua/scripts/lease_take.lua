-- lease_take: takes a lease, or renews it for its owner (R5).
--
-- Guarantee: one owner at a time by this server's clock; who can write is decided by the ledger's fence alone.
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

if #ARGV ~= 2 or not tonumber(ARGV[2]) then
  return redis.error_reply('ERR lease_take: wrong arguments')
end
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then
  return { OTHER, owner, math.max(redis.call('PTTL', KEYS[1]), 0) }
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return { MINE }
