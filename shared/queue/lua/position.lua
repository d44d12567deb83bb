-- How long a job may have to wait in the list that it is in.
-- ARGV 1 job id
-- Replies nothing if it is in none, or {stage, tasks before its next one, tasks that the stage has done lately, in how
-- many ms}.
local job = ARGV[1]

-- Of parts, which wait in the order of their numbers, only the first is looked for: the list may be long, and they many.
local next_task, next_part
for _, task in ipairs(open_tasks(job)) do
  local part = number_of(task) or -1
  if redis.call('HEXISTS', TASKS .. job, 'worker:' .. task) == 0 and (not next_task or part < next_part) then
    next_task, next_part = task, part
  end
end
local stage = next_task and parse(next_task)
local place = stage and redis.call('LPOS', QUEUE .. stage, next_task, 'RANK', -1)
if place then
  return {stage, redis.call('LLEN', QUEUE .. stage) - 1 - place, done_lately(stage, tonumber(now_ms()))}
end
