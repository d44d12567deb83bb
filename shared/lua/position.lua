-- How long a job may have to wait in the list that it is in.
-- ARGV 1 job id
-- Replies nothing if it is in none, or {stage, tasks before its next one, tasks that the stage has done lately, in how
-- many ms}.
local job = ARGV[1]
for _, task in ipairs(open_tasks(job)) do
  local stage = parse(task)
  local place = redis.call('LPOS', QUEUE .. stage, task, 'RANK', -1)
  if place then
    local now = tonumber(now_ms())
    local ahead = redis.call('LLEN', QUEUE .. stage) - 1 - place
    return {stage, ahead, done_lately(stage, now)}
  end
end
