-- Record a step of a task that continues, and push the step's parts. Defends against waiting for a whole answer whose parts can
-- be worked on; the next attempt discards the step, so that no half answer of a dead worker stays.
-- ARGV 1 task  2 worker  3 token  4 outcome (JSON, as commit.lua reads it)
-- Replies 'recorded', 'job_ended', or 'stale': the attempt is not the current one, or Redis has lost earlier steps of it with its
-- last second.
local task, worker, token, outcome = ARGV[1], ARGV[2], ARGV[3], cjson.decode(ARGV[4])
local stage, job = parse(task)
local tasks = TASKS .. job
if redis.call('HGET', tasks, TASK_FIELD.token .. task) ~= token or not redis.call('LPOS', HELD .. worker, task) then
  return 'stale'
end
if has_ended(redis.call('HGET', JOB .. job, FIELD.status)) then
  return 'job_ended'
end
local steps = recorded_steps(job, task)
if outcome.steps < steps then
  return 'recorded' -- the call is repeated, since its first reply was lost
elseif outcome.steps > steps then
  return 'stale'
end
local now = now_ms()
redis.call('HSET', tasks, TASK_FIELD.steps .. task, steps + 1)
record(job, outcome, now)
if outcome.parts then
  push_parts(job, outcome.parts[1], outcome.parts[2], now)
end
return 'recorded'
