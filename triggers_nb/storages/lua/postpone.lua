-- Sets a due item's moment to some time from now.
--
-- KEYS  1 due items of the session (hash), 2 due items of the bucket (zset)
-- ARGV  1 item, 2 its member of the zset, 3 delay in us, 4 moment that it must have now in us, or empty
--
-- Returns 1, or 0 if there is no such item, or it has another moment.

local value = redis.call('HGET', KEYS[1], ARGV[1])
if not value then
    return 0
end
local rest, was_us = cmsgpack.unpack_one(value, 1)
if ARGV[4] ~= '' and was_us ~= tonumber(ARGV[4]) then
    return 0
end
local due_us = read_clock_us() + tonumber(ARGV[3])
if due_us == was_us then
    due_us = due_us + 1 -- another who saw the same moment must see that it has gone
end
redis.call('ZADD', KEYS[2], due_us, ARGV[2])
redis.call('HSET', KEYS[1], ARGV[1], '\146' .. cmsgpack.pack(due_us) .. string.sub(value, rest + 1))
return 1
