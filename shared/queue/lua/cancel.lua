-- End a live job: take its tasks out of every place, erase its text and its turn of a conversation, mark it. A worker that
-- holds one of them learns of it from its next heartbeat, and cannot commit. Defends against a late commit that brings a
-- cancelled job back.
-- ARGV 1 job id
-- Replies 'cancelled', 'over' (it had ended already) or 'gone'.
local job = ARGV[1]
local status = redis.call('HGET', JOB .. job, 'status')
if not status then
  return 'gone'
elseif is_over(status) then
  return 'over'
end
drop_turn(job)
for _, task in ipairs(open_tasks(job)) do
  withdraw(job, task)
end
redis.call('DEL', TASKS .. job)
redis.call('XTRIM', EVENTS .. job, 'MAXLEN', 0) -- they tell of the text; the next one's id must still be a later one
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
