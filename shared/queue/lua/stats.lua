-- How busy the system is, for whoever decides whether to take a job on.
-- ARGV 1 how far back to count what has ended, ms
-- Replies {jobs that are live, jobs that ended within that time, memory used, memory allowed (0: no limit)}.
local memory = redis.pcall('INFO', 'memory')
local function number(name)
  return type(memory) == 'string' and tonumber(string.match(memory, name .. ':(%d+)')) or 0
end
return {
  redis.call('ZCARD', LIVE),
  redis.call('ZCOUNT', ENDED, now_ms() - ARGV[1], '+inf'),
  number('used_memory'),
  number('maxmemory'),
}
