-- Set a task aside on the dead list and fail its job. Defends against trying for ever what cannot succeed.
-- ARGV 1 task  2 worker  3 token  4 error code  5 message
-- Replies 'buried', 'over' or 'stale'.
local task, worker, token = ARGV[1], ARGV[2], ARGV[3]
local _, job = parse(task)
local hindrance = settle(job, task, worker, token)
if hindrance then
  return hindrance
end
disown(job, task)
set_aside(job, task, ARGV[4], ARGV[5], now_ms())
return 'buried'
