-- End a live job: remove its tasks from every place, erase its text and its turn of a conversation. A worker that holds one of
-- the tasks learns so from its next heartbeat, and cannot commit. Defends against a late commit to a cancelled job.
-- ARGV 1 job id
-- Replies 'cancelled', 'job_ended' (before this call) or 'gone'.
local job = ARGV[1]
local status = redis.call('HGET', JOB .. job, FIELD.status)
if not status then
  return 'gone'
elseif has_ended(status) then
  return 'job_ended'
end
erase_turn(job)
for _, task in ipairs(open_tasks(job)) do
  remove_from_places(job, task)
end
redis.call('DEL', TASKS .. job)
redis.call('XTRIM', EVENTS .. job, 'MAXLEN', 0) -- they contain the text; not DEL, since the next event's id must be a later one
local kept = {}
for _, field in ipairs({FIELD.job_id, FIELD.route, FIELD.stage, FIELD.created_at}) do
  local value = redis.call('HGET', JOB .. job, field)
  if value then
    kept[#kept + 1] = field
    kept[#kept + 1] = value
  end
end
redis.call('DEL', JOB .. job)
redis.call('HSET', JOB .. job, unpack(kept))
end_job(job, STATUS.cancelled, {}, now_ms())
return 'cancelled'
