-- Hand a begun task back unfinished, next in turn, as if it had never been claimed. Defends against losing work, or an
-- attempt, to a worker that is told to stop.
-- ARGV 1 task  2 worker  3 token
-- Replies 'released' or 'stale'.
local task, worker, token = ARGV[1], ARGV[2], ARGV[3]
local stage, job = parse(task)
if not let_go(job, task, worker, token) then
  return 'stale'
end
redis.call('HINCRBY', TASKS .. job, 'attempts:' .. task, -1)
redis.call('HINCRBY', TASKS .. job, 'crashes:' .. task, -1)
redis.call('HINCRBY', JOB .. job, 'attempts:' .. stage, -1)
disown(job, task)
redis.call('RPUSH', QUEUE .. stage, task)
return 'released'
