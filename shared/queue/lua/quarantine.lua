-- Put a held task on the dead list that no script can read, since another program has damaged its job's keys. Defends against one
-- such task stopping every worker that claims it.
-- ARGV 1 worker  2 task
-- Replies 1, or 0 if the worker does not hold it.
local task = ARGV[2]
if redis.call('LREM', HELD .. ARGV[1], 1, task) == 0 then
  return 0
end
redis.call('LPUSH', DEAD, task)
local _, job = parse(task)
if job then
  fail_unreadable(job, now_ms())
end
return 1
