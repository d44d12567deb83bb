-- Try a failed job again from where it failed: its open tasks go back on their lists, with all attempts before them, and
-- what earlier tasks made stays. What a task had made step by step that did not come to its end is taken back.
-- ARGV 1 job id  2 how many jobs may be live
-- Replies 'revived', 'gone', 'not_failed', 'retry_input_erased' if what it would need has been purged, or 'full'.
local job = ARGV[1]
local status, route = unpack(redis.call('HMGET', JOB .. job, 'status', 'route'))
if not status then
  return 'gone'
elseif status ~= 'failed' then
  return 'not_failed'
end
local tasks, open = TASKS .. job, open_tasks(job)
if #open == 0 or not route then -- the latter where what was stored of it could not be read
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
redis.call('HDEL', JOB .. job, 'error_code', 'error_message', 'ended_at')
redis.call('HSET', JOB .. job, 'status', 'pending', 'updated_at', now)
redis.call('ZREM', ENDED, job)
redis.call('ZADD', LIVE, now, job)
publish(job, 'revived', {})
for _, task in ipairs(open) do
  redis.call('LREM', DEAD, 0, task)
  if not held[task] and steps_of(job, task) > 0 then
    retract(job, task)
  end
end
for _, task in ipairs(open_tasks(job)) do
  if not held[task] then -- else somebody is at it still, and may commit
    withdraw(job, task)
    redis.call('HDEL', tasks, 'attempts:' .. task, 'crashes:' .. task, 'excused:' .. task)
    disown(job, task)
    redis.call('LPUSH', QUEUE .. parse(task), task)
  end
end
return 'revived'
