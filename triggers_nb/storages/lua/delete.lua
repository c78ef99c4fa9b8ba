-- Deletes a session with all that belongs to it.
--
-- KEYS  as those of commit.lua
-- ARGV  1 uid
--
-- Returns 1, or 0 if there was none.

if #KEYS ~= 9 or #ARGV ~= 1 then
    return redis.error_reply('BADCALL expected 9 keys and 1 argument')
end
local items = redis.call('HKEYS', KEYS[5])
for i = 1, #items do
    redis.call('ZREM', KEYS[8], #ARGV[1] .. ':' .. ARGV[1] .. items[i])
end
redis.call('ZREM', KEYS[7], ARGV[1])
redis.call('ZREM', KEYS[9], ARGV[1])
local existed = redis.call('EXISTS', KEYS[1])
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6])
return existed
