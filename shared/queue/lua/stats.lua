-- Read the load of the system, for the decision whether to accept a job.
-- ARGV 1 for how long to look back for ended jobs, ms
-- Replies {live jobs, jobs that ended within that time, memory used, memory allowed (0: no limit)}.
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
