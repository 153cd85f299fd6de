-- lease_drop: gives a lease up.
--
-- Guarantee: only its owner's; what is no lease (another type) stays for whoever takes it.
--
-- KEYS
--   [1] lease: text
-- ARGV
--   [1] owner's token
-- Replies
--   {1 DROPPED}
--   {0 OTHER}: nothing changed
local OTHER, DROPPED = 0, 1

if #ARGV ~= 1 then
  return redis.error_reply('ERR lease_drop: wrong arguments')
end
local mine = redis.call('TYPE', KEYS[1]).ok == 'string' and redis.call('GET', KEYS[1]) == ARGV[1]
if not mine then return { OTHER } end
redis.call('DEL', KEYS[1])
return { DROPPED }
