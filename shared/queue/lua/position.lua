-- Find a job's place in the list in which it waits.
-- ARGV 1 job id
-- Replies nothing if it is in none, or {stage, tasks before its next one, tasks that the stage completed lately, in how many ms}.
local job = ARGV[1]

-- Of parts, which wait in the order of their numbers, only the first is searched for: list and parts may be many.
local next_task, next_part
for _, task in ipairs(open_tasks(job)) do
  local part = part_number(task) or -1
  local is_waiting = redis.call('HEXISTS', TASKS .. job, TASK_FIELD.worker .. task) == 0
  if is_waiting and (not next_task or part < next_part) then
    next_task, next_part = task, part
  end
end
local stage = next_task and parse(next_task)
local place = stage and redis.call('LPOS', QUEUE .. stage, next_task, 'RANK', -1)
if place then
  return {stage, redis.call('LLEN', QUEUE .. stage) - 1 - place, recent_rate(stage, tonumber(now_ms()))}
end
