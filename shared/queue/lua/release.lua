-- Return a claimed task unfinished to the front of its list, as if it had never been claimed. Defends against losing work, or an
-- attempt, to a worker that is stopped.
-- ARGV 1 task  2 worker  3 token
-- Replies 'released' or 'stale'.
local task, worker, token = ARGV[1], ARGV[2], ARGV[3]
local stage, job = parse(task)
if not release_hold(job, task, worker, token) then
  return 'stale'
end
redis.call('HINCRBY', TASKS .. job, TASK_FIELD.attempts .. task, -1)
redis.call('HINCRBY', TASKS .. job, TASK_FIELD.crashes .. task, -1)
redis.call('HINCRBY', JOB .. job, FIELD.attempts .. stage, -1)
clear_owner(job, task)
redis.call('RPUSH', QUEUE .. stage, task)
return 'released'
