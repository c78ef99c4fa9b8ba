-- Strikes a session that has expired off its bucket's index.
--
-- KEYS  1 head of the session (hash), 2 index, 3 expiries of the bucket (zsets)
-- ARGV  1 uid

if redis.call('EXISTS', KEYS[1]) == 0 then
    redis.call('ZREM', KEYS[2], ARGV[1])
    redis.call('ZREM', KEYS[3], ARGV[1])
end
return 0
