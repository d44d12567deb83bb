-- Record a task's results and push the tasks that follow, once; then, if asked to, start an attempt at the stage's next task in
-- the same step. Defends against a paused worker that comes back, against double execution, and against a lost reply.
-- ARGV 1 task  2 worker  3 token
--      4 outcome (JSON {steps: how many were recorded before, fields: object, events: [[name, payload], …],
--        next: [[task, input], …], counts: object, parts: [stage, [input, …]]?, part: [number, output]?})
--      5 token of the next attempt; absent to start none
-- Replies {verdict} or {verdict, what begin.lua replies}. The verdict is 'committed', 'job_ended', or 'stale': the attempt is
-- not the task's current one, or Redis has lost steps of it with its last second. In the latter case the worker still holds the
-- task, and starts another attempt.
local function commit(stage, job, task, worker, token, outcome)
  local rejection = finish_attempt(job, task, worker, token, outcome.steps)
  if rejection then
    return rejection
  end
  local parts, part = outcome.parts, outcome.part
  local now, is_last = now_ms(), not (parts or part) and #outcome.next == 0
  if is_last then
    redis.call('DEL', TASKS .. job)
    record(job, outcome, now, FIELD.done_at .. stage, now, FIELD.status, STATUS.completed, FIELD.ended_at, now)
  else
    delete_task(job, task)
    record(job, outcome, now, FIELD.done_at .. stage, now)
  end
  redis.pcall('HINCRBY', DONE, stage .. ':' .. minute_of(now), '1')
  count('done:' .. stage)
  count_engine_events(outcome.counts)
  push_all(job, outcome.next, now)
  if outcome.fields[FIELD.transcript] or outcome.fields[FIELD.response] then
    save_turn(job, outcome.fields, false)
  end

  local tasks = TASKS .. job
  if parts then
    push_parts(job, parts[1], parts[2], now)
    redis.call('HSET', tasks, TASK_FIELD.join, parts[1] .. ':' .. job .. ':' .. JOIN)
    join_if_done(job, now)
  elseif part then
    redis.call('HSET', tasks, TASK_FIELD.part .. part[1], part[2])
    redis.call('HINCRBY', tasks, TASK_FIELD.parts_done, 1)
    if part[1] == (tonumber(redis.call('HGET', tasks, TASK_FIELD.first_part)) or 0) then
      redis.call('HSETNX', JOB .. job, FIELD.first_audio_at, now)
      save_turn(job, outcome.fields, true)
    end
    join_if_done(job, now)
  elseif is_last then
    move_to_ended(job, STATUS.completed, {}, now)
    count_times(job, now)
  end
  if parts and parts[1] ~= stage or #outcome.next > 0 then -- a task that splits its text for its own stage does not end the stage
    publish(job, EVENT.stage_done, {stage = stage})
  end
  return 'committed'
end

local outcome = cjson.decode(ARGV[4]) -- first: if this fails, nothing has changed
local stage, job = parse(ARGV[1])
local verdict = commit(stage, job, ARGV[1], ARGV[2], ARGV[3], outcome)
if ARGV[5] then
  -- A reclaim removes a worker from WORKERS together with its held tasks, so one that could commit is still in it.
  return {verdict, begin(ARGV[2], ARGV[5], stage, nil, verdict == 'committed')}
end
return {verdict}
