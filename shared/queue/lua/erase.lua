-- Erase every trace of a job that has ended. Its files are removed first, by the caller, so that a crash in between
-- leaves a job without files, which the next sweep finds, and never files without a job.
-- ARGV 1 job id  2 '1' if its turn of a conversation goes with it: that has a time of its own
-- Replies 1, or 0 if the job is live or gone.
local job = ARGV[1]
local status = redis.pcall('HGET', JOB .. job, 'status') -- what somebody else has written there is over, too
if status and not is_over(status) then
  return 0
end
local readable, tasks = pcall(open_tasks, job)
for _, task in ipairs(readable and tasks or {}) do
  redis.call('LREM', DEAD, 0, task)
end
if ARGV[2] == '1' then
  drop_turn(job)
end
redis.call('DEL', TASKS .. job, EVENTS .. job)
redis.call('ZREM', ENDED, job)
redis.call('ZREM', LIVE, job)
return redis.call('DEL', JOB .. job)
