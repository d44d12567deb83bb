-- Put a task that failed into the delayed set. Defends against flaky upstreams, and against retries that get lost.
-- ARGV 1 task  2 worker  3 token  4 delay, ms  5 error code  6 '1' if the engine crashed on it  7 '1' if the job has
-- nothing to do with it
-- Replies 'delayed', 'over' or 'stale'.
local task, worker, token = ARGV[1], ARGV[2], ARGV[3]
local stage, job = parse(task)
local hindrance = settle(job, task, worker, token)
if hindrance then
  return hindrance
end
local now = now_ms()
disown(job, task)
if ARGV[6] ~= '1' then
  redis.call('HINCRBY', TASKS .. job, 'crashes:' .. task, -1) -- it ended in an orderly way
end
if ARGV[7] == '1' then
  redis.call('HINCRBY', TASKS .. job, 'excused:' .. task, 1)
end
redis.call('ZADD', DELAYED, now + ARGV[4], task)
count('retried:' .. stage)
redis.call('HSET', JOB .. job, 'updated_at', now)
publish(job, 'retrying', {stage = stage, code = ARGV[5], delay_ms = tonumber(ARGV[4])})
if steps_of(job, task) > 0 then
  retract(job, task) -- now, so that nobody works meanwhile on what the next attempt would take back
end
return 'delayed'
