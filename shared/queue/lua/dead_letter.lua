-- Put a task on the dead list and fail its job. Defends against endless attempts at a task that cannot succeed.
-- ARGV 1 task  2 worker  3 token  4 error code  5 message
-- Replies 'dead_lettered', 'job_ended' or 'stale'.
local task, worker, token = ARGV[1], ARGV[2], ARGV[3]
local _, job = parse(task)
local rejection = finish_attempt(job, task, worker, token)
if rejection then
  return rejection
end
clear_owner(job, task)
dead_letter(job, task, ARGV[4], ARGV[5], now_ms())
return 'dead_lettered'
