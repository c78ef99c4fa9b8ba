-- Commits a change, or refuses it whole.
--
-- KEYS  of the session: 1 head (hash), 2 cells (hash), 3 cells of instances (hash), 4 events (stream),
--       5 due items (hash), 6 lock (string); of its bucket: 7 index by last change (zset), 8 due items (zset),
--       9 expiries (zset)
-- ARGV  1 values in msgpack, see below; 2 what was read: a msgpack map of cells to revisions; 3 commit id; 4 token of
--       the lock; 5 event;
--       6... in turn, the name of each cell and each due item to be written and its bytes as msgpack: first cells, then
--       those of instances, then due items; at last, the bytes of the cell "head" if it is written
--
-- Returns {1, epoch, seq, at_us} if it is applied, now or before; else {0, ms that another's lock stands, and, if the
-- session exists, epoch, seq, cell, value, cell, value, ...} with what is there of the cells that were read.
--
-- A cell's value is a msgpack array of its revision and its bytes. Whatever can fail fails before the first write: an
-- error does not undo writes. What is seldom needed is made a function only when it is needed, as that is not free.

local CHUNK = 4000 -- unpack fails near 8,000
local KEPT_IN_MIND = 10000 -- a commit is recognised among that many

local FIRST = 6 -- of the arguments that are written

local call, sub, pack = redis.call, string.sub, cmsgpack.pack
if #KEYS ~= 9 or #ARGV < FIRST - 1 then
    return redis.error_reply('BADCALL expected 9 keys and at least 5 arguments, got ' .. #KEYS .. ' and ' .. #ARGV)
end
local uid, at_us, epoch, -- 0: the session does not exist
    base_seq, is_current, -- whether nothing has to be compared at that sequence number
    new_epoch, -- of a session that is made
    timeout_ms, -- -1: never
    writes_read, -- whether a cell is written that was read
    counts, -- as fields of the head; at last 'unresolved' if it is looked at, but not changed
    increments,
    unresolved_at, -- its place among the counts, 0 if it is not among them
    cells_written, instances_written, writes_head, -- how many
    delays_us, -- of the due items
    settled = cmsgpack.unpack(ARGV[1])
if not settled or #ARGV ~= FIRST - 1 + 2 * (cells_written + instances_written + #delays_us) + writes_head then
    return redis.error_reply('BADCALL the first argument does not agree with the others')
end

-- Both in parts, as unpack is limited.
local function read_fields(key, names)
    if #names <= CHUNK then
        return #names > 0 and call('HMGET', key, unpack(names)) or {}
    end
    local values = {}
    for from = 1, #names, CHUNK do
        local some = call('HMGET', key, unpack(names, from, math.min(from + CHUNK - 1, #names)))
        for i = 1, #some do
            values[from + i - 1] = some[i]
        end
    end
    return values
end

local function write_fields(key, names_and_values, first, last)
    for from = first, last, CHUNK do
        call('HSET', key, unpack(names_and_values, from, math.min(from + CHUNK - 1, last)))
    end
end

local head = call('HMGET', KEYS[1], 'epoch', 'seq', 'modified', 'timeout', 'expires', 'head',
    unpack(counts, 1, math.min(#counts, CHUNK)))
if #counts > CHUNK then
    for i, value in ipairs(read_fields(KEYS[1], counts)) do
        head[6 + i] = value
    end
end
local exists = head[1] and true or false
local seq = exists and tonumber(head[2]) or 0
local is_another = exists ~= (epoch > 0) or (exists and tonumber(head[1]) ~= epoch)

-- Whether what is there is not what was read, and {name, value, ...} of what is there.
local function compare()
    local reads = cmsgpack.unpack(ARGV[2])
    local has_moved, found = false, {}
    local function look_at(names, values)
        for i = 1, #names do
            local revision, value = reads[names[i]], values[i] or ''
            local beginning = revision == 0 and '' or '\146' .. pack(revision)
            if sub(value, 1, #beginning) ~= beginning or (revision == 0 and value ~= '') then
                has_moved = true
            end
            if value ~= '' then
                found[#found + 1] = names[i]
                found[#found + 1] = value
            end
        end
    end
    local cells, instances = {}, {}
    for name in pairs(reads) do
        local kind = sub(name, 1, 2) == 'i:' and instances or cells
        if name ~= 'head' then
            kind[#kind + 1] = name
        end
    end
    look_at(cells, read_fields(KEYS[2], cells))
    look_at(instances, read_fields(KEYS[3], instances))
    if reads.head then
        look_at({'head'}, {head[6]})
    end
    return has_moved, found
end

local holder = call('GET', KEYS[6])
local is_locked = holder and holder ~= ARGV[4]
local moved, there = false, nil
if is_another or is_locked or seq ~= base_seq or not is_current then
    moved, there = compare()
end

if is_another or moved or is_locked or (seq > base_seq and not writes_read) then
    -- The answer to this very commit, if it was applied between two sequence numbers.
    local function find_applied(from, to)
        while from <= to do
            local entries = call('XRANGE', KEYS[4], from, to, 'COUNT', 100)
            for i = 1, #entries do
                local entry = entries[i][2]
                from = tonumber(string.match(entries[i][1], '^%d+')) + 1
                if entry[2] == ARGV[3] then
                    return {1, tonumber(head[1]), from - 1, tonumber(entry[4])}
                end
            end
            if #entries < 100 then
                return nil
            end
        end
    end
    local answer
    if exists and epoch == 0 then
        answer = find_applied(1, 1)
    elseif not is_another and seq > base_seq and (moved or not writes_read) then
        -- (It has not been applied if nothing has moved of what it read and writes.)
        answer = find_applied(math.max(base_seq + 1, seq - KEPT_IN_MIND), seq)
    end
    if answer then
        return answer
    elseif is_another or moved or is_locked then
        answer = {0, is_locked and math.max(1, call('PTTL', KEYS[6])) or 0}
        if exists then
            answer[3], answer[4] = head[1], head[2]
            for i = 1, #there do
                answer[4 + i] = there[i]
            end
        end
        return answer
    end
end

-- What there will be.
seq = seq + 1
local seq_text = string.format('%.0f', seq)
if head[3] and tonumber(head[3]) > tonumber(at_us) then
    at_us = head[3]
end
local new_head = {'seq', seq_text, 'modified', at_us}
for i = 1, #increments do
    new_head[3 + 2 * i] = counts[i]
    head[6 + i] = (head[6 + i] or 0) + increments[i]
    new_head[4 + 2 * i] = head[6 + i]
end
local cells_end = FIRST - 1 + 2 * cells_written
local instances_end = cells_end + 2 * instances_written
local dues_end = instances_end + 2 * #delays_us
local beginning = '\146' .. pack(seq)
for i = FIRST + 1, instances_end, 2 do
    ARGV[i] = beginning .. ARGV[i]
end
if writes_head == 1 then
    new_head[#new_head + 1] = 'head'
    new_head[#new_head + 1] = beginning .. ARGV[#ARGV]
end
local due_member = #uid .. ':' .. uid

if not exists then
    for i, expected in ipairs({'hash', 'hash', 'hash', 'stream', 'hash', 'string', 'zset', 'zset', 'zset'}) do
        local found = call('TYPE', KEYS[i]).ok
        if found ~= expected and found ~= 'none' then
            return redis.error_reply('WRONGTYPE key ' .. i .. ' is a ' .. found .. ', expected a ' .. expected)
        end
    end
    epoch = new_epoch
    for _, value in ipairs({'epoch', epoch, 'created', at_us}) do
        new_head[#new_head + 1] = value
    end
end

-- From here on it is written: first by a command that a full memory refuses, what sessions share before the rest.
call('ZADD', KEYS[7], at_us, uid)
if not exists then
    -- Leftovers of a session that has expired, or whose head was evicted or deleted by hand.
    call('ZREM', KEYS[9], uid)
    call('UNLINK', KEYS[2], KEYS[3], KEYS[4], KEYS[5])
end
if #delays_us > 0 then
    local now_us = read_clock_us()
    for i = 1, #delays_us do
        local at = instances_end + 2 * i - 1
        local due_us = now_us + delays_us[i]
        call('ZADD', KEYS[8], due_us, due_member .. ARGV[at])
        ARGV[at + 1] = '\146' .. pack(due_us) .. ARGV[at + 1]
    end
    write_fields(KEYS[5], ARGV, instances_end + 1, dues_end)
end
for i = 1, #settled do
    call('ZREM', KEYS[8], due_member .. settled[i])
    call('HDEL', KEYS[5], settled[i])
end
call('XADD', KEYS[4], seq_text .. '-0', 'id', ARGV[3], 'at', at_us, 'data', ARGV[5])
write_fields(KEYS[2], ARGV, FIRST, cells_end)
write_fields(KEYS[3], ARGV, cells_end + 1, instances_end)
local expires = timeout_ms >= 0 and tonumber(head[6 + unresolved_at] or 0) == 0 and call('EXISTS', KEYS[5]) == 0
if timeout_ms >= 0 or head[4] then
    for _, value in ipairs({'timeout', timeout_ms, 'expires', expires and 1 or 0}) do
        new_head[#new_head + 1] = value
    end
end
write_fields(KEYS[1], new_head, 1, #new_head)
if expires then
    start_expiry(KEYS, uid, timeout_ms)
elseif head[5] == '1' then
    stop_expiry(KEYS, uid)
end
return {1, epoch, seq, tonumber(at_us)}
