-- Placed before the scripts that need the clock or change what a session's expiry depends on. `keys` are those of
-- commit.lua. A session expires as a whole, at one moment, and only while nothing is unresolved and nothing is due.

local function read_clock_us()
    local time = redis.call('TIME')
    return time[1] * 1000000 + time[2]
end

-- Start the expiry anew, and strike those sessions of the bucket off the index that have expired meanwhile.
local function start_expiry(keys, uid, timeout_ms)
    local now_ms = math.floor(read_clock_us() / 1000)
    local at_ms = now_ms + timeout_ms
    for i = 1, 4 do
        redis.call('PEXPIREAT', keys[i], at_ms)
    end
    redis.call('ZADD', keys[9], at_ms, uid)
    local expired = redis.call('ZRANGEBYSCORE', keys[9], '-inf', '(' .. string.format('%.0f', now_ms), 'LIMIT', 0, 10)
    for i = 1, #expired do
        redis.call('ZREM', keys[7], expired[i])
        redis.call('ZREM', keys[9], expired[i])
    end
end

local function stop_expiry(keys, uid)
    for i = 1, 4 do
        redis.call('PERSIST', keys[i])
    end
    redis.call('ZREM', keys[9], uid)
end
