-- Set a task aside on the dead list and fail its job. Defends against trying for ever what cannot succeed.
-- ARGV 1 task  2 worker  3 token  4 error code  5 message
-- Replies 'buried', 'over' or 'stale'.
local task, worker, token = ARGV[1], ARGV[2], ARGV[3]
local _, job = parse(task)
if not let_go(job, task, worker, token) then
  return 'stale'
end
disown(job, task)
local status = redis.call('HGET', JOB .. job, 'status')
if not status or is_over(status) then
  close(job, task)
  return 'over'
end
set_aside(job, task, ARGV[4], ARGV[5], now_ms())
return 'buried'
