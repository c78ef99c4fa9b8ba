-- Reads all of a session at one moment. It blocks the server for as long as that takes: the last resort for a large
-- session that others keep changing.
--
-- KEYS  1 head, 2 cells, 3 cells of instances, 4 due items (hashes)
--
-- Returns what HGETALL returns of each.

if #KEYS ~= 4 then
    return redis.error_reply('BADCALL expected 4 keys')
end
local answer = {}
for i = 1, 4 do
    answer[i] = redis.call('HGETALL', KEYS[i])
end
return answer
