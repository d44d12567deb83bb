-- Record a step of a task that goes on, and push the parts that it has made. Defends against waiting for the whole of what
-- can be worked on piece by piece; and, since the next attempt takes back what this one pushed, against a dead worker's
-- half answer.
-- ARGV 1 task  2 worker  3 token  4 outcome (JSON, as commit.lua takes it)
-- Replies 'extended', 'over' or 'stale'; the latter also if Redis has lost earlier steps with its last second.
local task, worker, token, outcome = ARGV[1], ARGV[2], ARGV[3], cjson.decode(ARGV[4])
local stage, job = parse(task)
local tasks = TASKS .. job
if redis.call('HGET', tasks, 'token:' .. task) ~= token or not redis.call('LPOS', HELD .. worker, task) then
  return 'stale'
end
if is_over(redis.call('HGET', JOB .. job, 'status')) then
  return 'over'
end
local steps = steps_of(job, task)
if outcome.steps < steps then
  return 'extended' -- the same call once more: its first reply was lost
elseif outcome.steps > steps then
  return 'stale'
end
local now = now_ms()
redis.call('HSET', tasks, 'steps:' .. task, steps + 1)
record(job, outcome, now)
if outcome.parts then
  push_parts(job, outcome.parts[1], outcome.parts[2], now)
end
return 'extended'
