-- Move a task that failed to the delayed set. Defends against upstream services that fail at times, and against lost retries.
-- ARGV 1 task  2 worker  3 token  4 delay, ms  5 error code  6 '1' if the engine crashed on it  7 '1' if the attempt does not
-- count, since the job is not to blame
-- Replies 'rescheduled', 'job_ended' or 'stale'.
local task, worker, token = ARGV[1], ARGV[2], ARGV[3]
local stage, job = parse(task)
local rejection = finish_attempt(job, task, worker, token)
if rejection then
  return rejection
end
local now = now_ms()
clear_owner(job, task)
if ARGV[6] ~= '1' then
  redis.call('HINCRBY', TASKS .. job, TASK_FIELD.crashes .. task, -1) -- begin counts every attempt as a crash until it ends
end
if ARGV[7] == '1' then
  redis.call('HINCRBY', TASKS .. job, TASK_FIELD.uncounted .. task, 1)
end
redis.call('ZADD', DELAYED, now + ARGV[4], task)
count('retried:' .. stage)
redis.call('HSET', JOB .. job, FIELD.updated_at, now)
publish(job, EVENT.retrying, {stage = stage, code = ARGV[5], delay_ms = tonumber(ARGV[4])})
if recorded_steps(job, task) > 0 then
  discard_partial_output(job, task) -- now, so that no worker spends time on parts that the next attempt would discard
end
return 'rescheduled'
