-- leave: marks passes as ended for their visitors.
--
-- Guarantee: no hold is made with such a pass, nor with a lower number of the same visitor. Holds that exist stay.
--
-- KEYS
--   [1] lane: hash of meta
--   [2] visitors: hash of counters
-- ARGV
--   [1..] 2 per pass: visitor (16 bytes), pass number
-- Replies
--   NOTLOADED: nothing changed
--   0 DONE
local DONE = 0
local FIXED, EACH = 0, 2

if (#ARGV - FIXED) % EACH ~= 0 then
  return redis.error_reply('ERR leave: wrong arguments')
end
if call('HGET', KEYS[1], 'loaded') ~= '1' then return not_loaded() end
for i = FIXED + 1, #ARGV, EACH do want_visitor(ARGV[i]) end
read_visitors(KEYS[2])
for i = FIXED + 1, #ARGV, EACH do
  local visitor = visitors[ARGV[i]]
  if newer(ARGV[i + 1], visitor.done) then
    visitor.done = ARGV[i + 1]
    visitor.changed = true
  end
end
write_visitors(KEYS[2])
return DONE
