-- lease_look: tells who has a lease (R5).
--
-- Guarantee: changes nothing. What is no lease (another type) is nobody's.
--
-- KEYS
--   [1] lease: text
-- ARGV
--   none
-- Replies
--   {1 TAKEN, its owner's token}
--   {0 FREE}
local FREE, TAKEN = 0, 1

if #ARGV ~= 0 then
  return redis.error_reply('ERR lease_look: wrong arguments')
end
local owner = redis.call('TYPE', KEYS[1]).ok == 'string' and redis.call('GET', KEYS[1])
if not owner then return { FREE } end
return { TAKEN, owner }
