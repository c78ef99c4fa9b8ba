-- Strikes an item that is not there any more off what is due in its bucket.
--
-- KEYS  1 due items of the session (hash), 2 due items of the bucket (zset)
-- ARGV  1 item, 2 its member of the zset

if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then
    redis.call('ZREM', KEYS[2], ARGV[2])
end
return 0
