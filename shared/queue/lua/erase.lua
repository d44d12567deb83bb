-- Erase every trace of a job that has ended. The caller removes its files first, so that a crash in between leaves a job without
-- files, which the next cleanup finds, and never files without a job.
-- ARGV 1 job id  2 '1' to erase its turn of a conversation too, which otherwise lives as long as the conversation
-- Replies 1, or 0 if the job is live or gone.
local job = ARGV[1]
local status = redis.pcall('HGET', JOB .. job, FIELD.status) -- a key of another type, too, counts as ended
if status and not has_ended(status) then
  return 0
end
local readable, tasks = pcall(open_tasks, job)
for _, task in ipairs(readable and tasks or {}) do
  redis.call('LREM', DEAD, 0, task)
end
if ARGV[2] == '1' then
  erase_turn(job)
end
redis.call('DEL', TASKS .. job, EVENTS .. job)
redis.call('ZREM', ENDED, job)
redis.call('ZREM', LIVE, job)
return redis.call('DEL', JOB .. job)
