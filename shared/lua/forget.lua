-- Erase every trace of a job that has ended. Its files are removed first, by the caller, so that a crash in between
-- leaves a job without files, which the next sweep finds, and never files without a job.
-- ARGV 1 job id
-- Replies 1, or 0 if the job is live or gone.
local job = ARGV[1]
local status = redis.call('HGET', JOB .. job, 'status')
if status and not is_over(status) then
  return 0
end
for _, field in ipairs(redis.call('HKEYS', TASKS .. job)) do
  local task = string.match(field, '^input:(.+)')
  if task then
    redis.call('LREM', DEAD, 0, task)
  end
end
redis.call('DEL', TASKS .. job, EVENTS .. job)
redis.call('ZREM', ENDED, job)
redis.call('ZREM', LIVE, job)
return redis.call('DEL', JOB .. job)
