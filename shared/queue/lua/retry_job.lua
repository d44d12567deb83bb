-- Retry a failed job from where it failed: its open tasks go back to their lists, with all their attempts to come, and the results
-- of earlier tasks stay. The steps of a task that did not reach its commit are discarded.
-- ARGV 1 job id  2 how many jobs may be live
-- Replies 'retried', 'gone', 'not_failed', 'retry_input_erased' if the input was purged, or 'full'.
local job = ARGV[1]
local status, route = unpack(redis.call('HMGET', JOB .. job, FIELD.status, FIELD.route))
if not status then
  return 'gone'
elseif status ~= STATUS.failed then
  return 'not_failed'
end
local tasks, open = TASKS .. job, open_tasks(job)
if #open == 0 or not route then -- a job that could not be read has no route
  return 'retry_input_erased'
end
if redis.call('ZCARD', LIVE) >= tonumber(ARGV[2]) then
  return 'full'
end
local held = {}
for _, worker in ipairs(redis.call('ZRANGE', WORKERS, 0, -1)) do
  for _, task in ipairs(redis.call('LRANGE', HELD .. worker, 0, -1)) do
    held[task] = true
  end
end
local now = now_ms()
redis.call('HDEL', JOB .. job, FIELD.error_code, FIELD.error_message, FIELD.ended_at)
redis.call('HSET', JOB .. job, FIELD.status, STATUS.pending, FIELD.updated_at, now)
redis.call('ZREM', ENDED, job)
redis.call('ZADD', LIVE, now, job)
publish(job, EVENT.revived, {})
for _, task in ipairs(open) do
  redis.call('LREM', DEAD, 0, task)
  if not held[task] and recorded_steps(job, task) > 0 then
    discard_partial_output(job, task)
  end
end
for _, task in ipairs(open_tasks(job)) do
  if not held[task] then -- else a worker still runs it, and may commit
    remove_from_places(job, task)
    redis.call('HDEL', tasks,
      TASK_FIELD.attempts .. task, TASK_FIELD.crashes .. task, TASK_FIELD.uncounted .. task)
    clear_owner(job, task)
    redis.call('LPUSH', QUEUE .. parse(task), task)
  end
end
return 'retried'
