-- End a live job: take its tasks out of every place, erase its text, mark it. A worker that holds one of them learns of
-- it from its next heartbeat, and cannot commit. Defends against a late commit that brings a cancelled job back.
-- ARGV 1 job id
-- Replies 'cancelled', 'over' (it had ended already) or 'gone'.
local job = ARGV[1]
local status = redis.call('HGET', JOB .. job, 'status')
if not status then
  return 'gone'
elseif is_over(status) then
  return 'over'
end
local tasks = TASKS .. job
for _, task in ipairs(open_tasks(job)) do
  redis.call('LREM', QUEUE .. parse(task), 0, task)
  redis.call('ZREM', DELAYED, task)
  local worker = redis.call('HGET', tasks, 'worker:' .. task)
  if worker then
    redis.call('LREM', HELD .. worker, 0, task)
  end
end
redis.call('DEL', tasks)
local kept = {}
for _, field in ipairs({'job_id', 'route', 'stage', 'created_at'}) do
  local value = redis.call('HGET', JOB .. job, field)
  if value then
    kept[#kept + 1] = field
    kept[#kept + 1] = value
  end
end
redis.call('DEL', JOB .. job)
redis.call('HSET', JOB .. job, unpack(kept))
finish(job, 'cancelled', {}, now_ms())
return 'cancelled'
