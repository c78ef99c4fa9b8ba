-- Lists what is due in a bucket.
--
-- KEYS  1 due items of the bucket (zset)
-- ARGV  1 how many at most
--
-- Returns {now in us, member, member, ...}, longest due first. A member is "<bytes of the uid>:<uid><item>".

local now_us = read_clock_us()
local answer = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now_us, 'LIMIT', 0, tonumber(ARGV[1]))
table.insert(answer, 1, now_us)
return answer
