-- Removes a due item. If it was the last thing that kept a session from expiring, its time starts now.
--
-- KEYS  as those of commit.lua
-- ARGV  1 uid, 2 item, 3 its member of the zset
--
-- Returns 1, or 0 if it was not there.

if #KEYS ~= 9 or #ARGV ~= 3 then
    return redis.error_reply('BADCALL expected 9 keys and 3 arguments')
end
redis.call('ZREM', KEYS[8], ARGV[3])
if redis.call('HDEL', KEYS[5], ARGV[2]) == 0 then
    return 0
end
if redis.call('EXISTS', KEYS[5]) == 0 then
    local head = redis.call('HMGET', KEYS[1], 'timeout', '#unresolved')
    local timeout_ms = tonumber(head[1] or -1)
    if timeout_ms >= 0 and tonumber(head[2] or 0) == 0 then
        redis.call('HSET', KEYS[1], 'expires', '1')
        start_expiry(KEYS, ARGV[1], timeout_ms)
    end
end
return 1
