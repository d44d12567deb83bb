-- Record what a task has made and push what comes next, once; then, if asked to, begin the stage's next task in the same
-- step. Defends against a paused worker that comes back, against double execution, and against a reply that was lost.
-- ARGV 1 task  2 worker  3 token
--      4 outcome (JSON {fields: object, next: [[task, input], …], join: task?, part: [index, output]?})
--      5 token of the next attempt; absent to begin nothing
-- Replies {verdict} or {verdict, what begin.lua replies}. The verdict is 'committed', 'over' (the job ended meanwhile) or
-- 'stale' (the task is not, or no longer, this attempt's).
local function commit(task, worker, token, outcome)
  local stage, job = parse(task)
  local hindrance = settle(job, task, worker, token)
  if hindrance then
    return hindrance
  end
  close(job, task)

  local now = now_ms()
  local changed = {'updated_at', now, 'done_at:' .. stage, now}
  for field, value in pairs(outcome.fields) do
    changed[#changed + 1] = field
    changed[#changed + 1] = value
  end
  redis.call('HSET', JOB .. job, unpack(changed))
  redis.pcall('HINCRBY', DONE, stage .. ':' .. minute_of(now), 1)
  fan_out(job, outcome.next, outcome.join, now)

  local tasks, part = TASKS .. job, outcome.part
  if part then
    local index, output = part[1], part[2]
    redis.call('HSET', tasks, 'part:' .. index, output)
    if index == 0 then
      redis.call('HSETNX', JOB .. job, 'first_audio_at', now)
    end
    publish(job, 'segment', {index = index})
    local parts = tonumber(redis.call('HGET', tasks, 'parts'))
    if redis.call('HINCRBY', tasks, 'parts_done', 1) == parts then
      local outputs = {}
      for i = 0, parts - 1 do
        outputs[#outputs + 1] = redis.call('HGET', tasks, 'part:' .. i)
      end
      push(job, redis.call('HGET', tasks, 'join'), cjson.encode(outputs), now)
    end
  elseif #outcome.next == 0 then
    redis.call('DEL', tasks)
    finish(job, 'completed', {}, now)
  else
    publish(job, 'stage_done', {stage = stage})
  end
  return 'committed'
end

local outcome = cjson.decode(ARGV[4]) -- first: if this fails, nothing has changed
local verdict = commit(ARGV[1], ARGV[2], ARGV[3], outcome)
if ARGV[5] then
  return {verdict, begin(ARGV[2], ARGV[5], (parse(ARGV[1])))}
end
return {verdict}
