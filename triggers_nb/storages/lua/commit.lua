-- Commits a change, or refuses it whole.
--
-- KEYS  of the session: 1 head (hash), 2 cells (hash), 3 cells of instances (hash), 4 events (stream),
--       5 due items (hash), 6 lock (string); of its bucket: 7 index by last change (zset), 8 due items (zset),
--       9 expiries (zset)
-- ARGV  1 msgpack array, see below; 2 commit id; 3 token of the lock; 4 event;
--       5... as msgpack: the bytes of each cell and each due item to be written, in the order of their names
--
-- Returns {1, epoch, seq, at_us} if it is applied, now or before; else {0, ms that another's lock stands, and, if the
-- session exists, epoch, seq, cell, value, cell, value, ...} with what is there of the cells that were read.
--
-- A cell's value is a msgpack array of its revision and its bytes. Whatever can fail fails before the first write: an
-- error does not undo writes.

local CHUNK = 4000 -- unpack fails near 8,000
local KEPT_IN_MIND = 10000 -- a commit is recognised among that many

local call, sub, pack = redis.call, string.sub, cmsgpack.pack
if #KEYS ~= 9 or #ARGV < 4 then
    return redis.error_reply('BADCALL expected 9 keys and at least 4 arguments, got ' .. #KEYS .. ' and ' .. #ARGV)
end
local uid, at_us, epoch, -- 0: the session does not exist
    base_seq, new_epoch, -- of a session that is made
    timeout_ms, -- -1: never
    writes_read, -- 1 if a cell is written that was read
    fields, -- of the head: the 6 that are named below, counts, and the count 'unresolved' if it is not among them
    increments, -- of the counts
    unresolved_at, -- its place among the fields
    head_revision, -- of the cell "head", -1 if it was not read
    cells, cell_revisions, instances, instance_revisions, -- what was read
    new_cells, new_instances, writes_head, -- what is written; the cell "head", if 1, comes last
    due, delays_us, settled = unpack(cmsgpack.unpack(ARGV[1]))
if not settled or #ARGV ~= 4 + #new_cells + #new_instances + writes_head + #due then
    return redis.error_reply('BADCALL the first argument does not agree with the others')
end

local function read_fields(key, names)
    if #names <= CHUNK then
        return #names > 0 and call('HMGET', key, unpack(names)) or names
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

local function write_fields(key, fields)
    for from = 1, #fields, CHUNK do
        call('HSET', key, unpack(fields, from, math.min(from + CHUNK - 1, #fields)))
    end
end

-- What is there, and whether it is what was read.
local head = read_fields(KEYS[1], fields) -- epoch, seq, modified, timeout, expires, head, counts
local cell_values = read_fields(KEYS[2], cells)
local instance_values = read_fields(KEYS[3], instances)
local exists = head[1] and true or false

local function read_lock()
    local holder = call('GET', KEYS[6])
    return holder and holder ~= ARGV[3] and math.max(1, call('PTTL', KEYS[6])) or 0
end

local function refuse(locked_ms)
    local answer = {0, locked_ms}
    if not exists then
        return answer
    end
    answer[3], answer[4] = head[1], head[2]
    local function add(names, values)
        for i = 1, #names do
            if values[i] then
                answer[#answer + 1] = names[i]
                answer[#answer + 1] = values[i]
            end
        end
    end
    if head_revision >= 0 then
        add({'head'}, {head[6]})
    end
    add(cells, cell_values)
    add(instances, instance_values)
    return answer
end

-- The answer to this very commit, if it was applied between two sequence numbers.
local function find_applied(from, to)
    while from <= to do
        local entries = call('XRANGE', KEYS[4], from, to, 'COUNT', 100)
        for i = 1, #entries do
            local fields = entries[i][2]
            from = tonumber(string.match(entries[i][1], '^%d+')) + 1
            if fields[2] == ARGV[2] then
                return {1, tonumber(head[1]), from - 1, tonumber(fields[4])}
            end
        end
        if #entries < 100 then
            return nil
        end
    end
end

local beginnings = {}
local function has_moved(value, revision)
    if revision == 0 or not value then
        return (value and true or false) ~= (revision > 0)
    end
    local beginning = beginnings[revision]
    if not beginning then
        beginning = '\146' .. pack(revision)
        beginnings[revision] = beginning
    end
    return sub(value, 1, #beginning) ~= beginning
end

local function any_has_moved(values, revisions)
    for i = 1, #revisions do
        if has_moved(values[i], revisions[i]) then
            return true
        end
    end
    return false
end

if exists and epoch == 0 then
    return find_applied(1, 1) or refuse(read_lock())
elseif exists ~= (epoch > 0) or (exists and tonumber(head[1]) ~= epoch) then
    return refuse(read_lock())
end
local seq = exists and tonumber(head[2]) or 0
local moved = (head_revision >= 0 and has_moved(head[6], head_revision)) or any_has_moved(cell_values, cell_revisions)
    or any_has_moved(instance_values, instance_revisions)
if seq > base_seq and (moved or writes_read == 0) then
    -- It has not been applied if nothing has moved of what it read and writes.
    local answer = find_applied(math.max(base_seq + 1, seq - KEPT_IN_MIND), seq)
    if answer then
        return answer
    end
end
local locked_ms = read_lock()
if moved or locked_ms > 0 then
    return refuse(locked_ms)
end

-- What there will be.
seq = string.format('%.0f', seq + 1)
at_us = string.format('%.0f', math.max(at_us, tonumber(head[3] or 0)))
local new_head = {'seq', seq, 'modified', at_us}
local function add_to_head(name, value)
    new_head[#new_head + 1] = name
    new_head[#new_head + 1] = value
end
for i = 1, #increments do
    head[6 + i] = tonumber(head[6 + i] or 0) + increments[i]
    add_to_head(fields[6 + i], head[6 + i])
end
local beginning = '\146' .. pack(tonumber(seq))
local written = 4
local function lay_out(names)
    local fields = {}
    for i = 1, #names do
        fields[2 * i - 1] = names[i]
        fields[2 * i] = beginning .. ARGV[written + i]
    end
    written = written + #names
    return fields
end
local cell_fields, instance_fields = lay_out(new_cells), lay_out(new_instances)
if writes_head == 1 then
    written = written + 1
    add_to_head('head', beginning .. ARGV[written])
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
    add_to_head('epoch', epoch)
    add_to_head('created', at_us)
end

-- From here on it is written: first by a command that a full memory refuses, what sessions share before the rest.
call('ZADD', KEYS[7], at_us, uid)
if not exists and call('EXISTS', KEYS[2], KEYS[3], KEYS[4], KEYS[5]) > 0 then
    -- Leftovers of a session whose head was evicted or deleted by hand.
    call('UNLINK', KEYS[2], KEYS[3], KEYS[4], KEYS[5])
end
if #due > 0 then
    local now_us = read_clock_us()
    local due_fields = {}
    for i = 1, #due do
        local due_us = now_us + delays_us[i]
        call('ZADD', KEYS[8], due_us, due_member .. due[i])
        due_fields[2 * i - 1] = due[i]
        due_fields[2 * i] = '\146' .. pack(due_us) .. ARGV[written + i]
    end
    write_fields(KEYS[5], due_fields)
end
for i = 1, #settled do
    call('ZREM', KEYS[8], due_member .. settled[i])
    call('HDEL', KEYS[5], settled[i])
end
call('XADD', KEYS[4], seq .. '-0', 'id', ARGV[2], 'at', at_us, 'data', ARGV[4])
write_fields(KEYS[2], cell_fields)
write_fields(KEYS[3], instance_fields)
local expires = timeout_ms >= 0 and tonumber(head[unresolved_at] or 0) == 0 and call('EXISTS', KEYS[5]) == 0
if timeout_ms >= 0 or head[4] then
    add_to_head('timeout', timeout_ms)
    add_to_head('expires', expires and 1 or 0)
end
write_fields(KEYS[1], new_head)
if expires then
    start_expiry(KEYS, uid, timeout_ms)
elseif head[5] == '1' then
    stop_expiry(KEYS, uid)
end
return {1, epoch, tonumber(seq), tonumber(at_us)}
