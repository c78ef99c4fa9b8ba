-- Takes a session's lock, or renews it.
--
-- KEYS  1 lock (string)
-- ARGV  1 token, 2 lease in ms
--
-- Returns 0, or the ms that another's stands.

local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
    return math.max(1, redis.call('PTTL', KEYS[1]))
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 0
