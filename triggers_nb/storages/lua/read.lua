-- Reads cells of a session at one moment, and those that they link to.
--
-- KEYS  1 head, 2 cells, 3 cells of instances (hashes)
-- ARGV  1 how many steps of links to follow, 2... names of cells
--
-- Returns nil without a session, else {epoch, seq, cell, value, cell, value, ...} of the cells that are there.
--
-- A cell's value is a msgpack array of its revision and its bytes; those of a trigger's (g:) and a task's (t:) cell are
-- a msgpack array that begins with the array of the names that it links to.

local CHUNK = 4000 -- unpack fails near 8,000

local steps = tonumber(ARGV[1])
if #KEYS ~= 3 or not steps then
    return redis.error_reply('BADCALL expected 3 keys and a number of steps')
end
local head = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'head')
if not head[1] then
    return false
end
local answer = {head[1], head[2]}

local seen = {}
local links

local function collect_links(name, value)
    local offset = cmsgpack.unpack_one(value, 1)
    -- Neither the head of the bytes nor that of the array is something that cmsgpack can skip.
    offset = offset + ({[0xc4] = 2, [0xc5] = 3, [0xc6] = 5})[string.byte(value, offset + 1)]
    local kind = string.byte(value, offset + 1) or 0
    local names
    if kind > 0x90 and kind < 0xa0 then
        local _
        _, names = cmsgpack.unpack_one(value, offset + 1)
    end
    if type(names) ~= 'table' then
        error('the links of cell ' .. name .. ' cannot be read')
    end
    for i = 1, #names do
        links[#links + 1] = assert(type(names[i]) == 'string' and names[i], 'a link is no name')
    end
end

local function fetch(key, names)
    for from = 1, #names, CHUNK do
        local to = math.min(from + CHUNK - 1, #names)
        local values = redis.call('HMGET', key, unpack(names, from, to))
        for i = from, to do
            local value = values[i - from + 1]
            if value then
                answer[#answer + 1] = names[i]
                answer[#answer + 1] = value
                local kind = string.sub(names[i], 1, 2)
                if steps > 0 and (kind == 'g:' or kind == 't:') then
                    collect_links(names[i], value)
                end
            end
        end
    end
end

local wanted = ARGV
local first = 2
while true do
    local cells, instances = {}, {}
    for i = first, #wanted do
        local name = wanted[i]
        if not seen[name] then
            seen[name] = true
            if string.sub(name, 1, 2) == 'i:' then
                instances[#instances + 1] = name
            elseif name ~= 'head' then
                cells[#cells + 1] = name
            elseif head[3] then
                answer[#answer + 1] = name
                answer[#answer + 1] = head[3]
            end
        end
    end
    links = {}
    fetch(KEYS[2], cells)
    fetch(KEYS[3], instances)
    if #links == 0 then
        return answer
    end
    wanted, first, steps = links, 1, steps - 1
end
