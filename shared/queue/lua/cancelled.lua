-- List the jobs that were cancelled lately.
-- ARGV 1 for how long to look back, ms
-- Replies their ids.
local cancelled = {}
for _, job in ipairs(redis.call('ZRANGEBYSCORE', ENDED, now_ms() - ARGV[1], '+inf')) do
  if redis.pcall('HGET', JOB .. job, FIELD.status) == STATUS.cancelled then
    cancelled[#cancelled + 1] = job
  end
end
return cancelled
