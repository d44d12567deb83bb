-- Record a step of a task that goes on, and push the parts that it has made. Defends against waiting for the whole of what
-- can be worked on piece by piece; and, since the next attempt takes back what this one pushed, against a dead worker's
-- half answer.
-- ARGV 1 task  2 worker  3 token  4 number of the step, from 0  5 outcome (JSON, as commit.lua takes it)
-- Replies 'extended', 'over' or 'stale'.
local task, worker, token, step = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local stage, job = parse(task)
local tasks = TASKS .. job
if redis.call('HGET', tasks, 'token:' .. task) ~= token or not redis.call('LPOS', HELD .. worker, task) then
  return 'stale'
end
if is_over(redis.call('HGET', JOB .. job, 'status')) then
  return 'over'
end
if step < (tonumber(redis.call('HGET', tasks, 'steps')) or 0) then
  return 'extended' -- the same call once more: its first reply was lost
end
local now, outcome = now_ms(), cjson.decode(ARGV[5])
redis.call('HSET', tasks, 'maker', task, 'steps', step + 1)
record(job, outcome, now)
if outcome.parts then
  push_parts(job, outcome.parts[1], outcome.parts[2], now)
end
return 'extended'
