-- Record what a task has made and push what comes next, once; then, if asked to, begin the stage's next task in the same
-- step. Defends against a paused worker that comes back, against double execution, and against a reply that was lost.
-- ARGV 1 task  2 worker  3 token
--      4 outcome (JSON {steps: how many came before, fields: object, events: [[name, data], …], next: [[task, input], …],
--        counts: object, parts: [stage, [input, …]]?, part: [index, output]?})
--      5 token of the next attempt; absent to begin nothing
-- Replies {verdict} or {verdict, what begin.lua replies}. The verdict is 'committed', 'over' (the job ended meanwhile) or
-- 'stale' (the task is not, or no longer, this attempt's; or, with its last second, Redis has lost steps of it: then the
-- worker, which still holds it, begins anew).
local function commit(stage, job, task, worker, token, outcome)
  local hindrance = settle(job, task, worker, token, outcome.steps)
  if hindrance then
    return hindrance
  end
  local now, is_last = now_ms(), not (outcome.parts or outcome.part) and #outcome.next == 0
  if is_last then
    redis.call('DEL', TASKS .. job)
    record(job, outcome, now, 'done_at:' .. stage, now, 'status', 'completed', 'ended_at', now)
  else
    close(job, task)
    record(job, outcome, now, 'done_at:' .. stage, now)
  end
  redis.pcall('HINCRBY', DONE, stage .. ':' .. minute_of(now), '1')
  count('done:' .. stage)
  count_reported(outcome.counts)
  push_all(job, outcome.next, now)
  if outcome.fields.transcript or outcome.fields.response then
    remember(job, outcome.fields, false)
  end

  local tasks, parts, part = TASKS .. job, outcome.parts, outcome.part
  if parts then
    push_parts(job, parts[1], parts[2], now)
    redis.call('HSET', tasks, 'join', parts[1] .. ':' .. job .. ':join')
    join_if_done(job, now)
  elseif part then
    redis.call('HSET', tasks, 'part:' .. part[1], part[2])
    redis.call('HINCRBY', tasks, 'parts_done', 1)
    if part[1] == (tonumber(redis.call('HGET', tasks, 'first_part')) or 0) then
      redis.call('HSETNX', JOB .. job, 'first_audio_at', now)
      remember(job, outcome.fields, true)
    end
    join_if_done(job, now)
  elseif is_last then
    close_job(job, 'completed', {}, now)
    count_times(job, now)
  end
  if parts and parts[1] ~= stage or #outcome.next > 0 then -- one that has only cut its text has not done its stage
    publish(job, 'stage_done', {stage = stage})
  end
  return 'committed'
end

local outcome = cjson.decode(ARGV[4]) -- first: if this fails, nothing has changed
local stage, job = parse(ARGV[1])
local verdict = commit(stage, job, ARGV[1], ARGV[2], ARGV[3], outcome)
if ARGV[5] then
  return {verdict, begin(ARGV[2], ARGV[5], stage)}
end
return {verdict}
