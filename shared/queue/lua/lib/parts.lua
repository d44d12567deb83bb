-- Parts: tasks that an attempt at another task pushes step by step, such as the segments of an answer.
--
-- Parts are numbered upwards. Those that one attempt has pushed are a generation: from first_part up to next_part. parts_done
-- counts those of them that are done, part:<number> has their outputs, and join names the task that follows when all are done:
-- it is set once no more parts will come.

-- Push more parts. The first of a generation goes to the front, since a listener waits for the first audio, and a single jump
-- for each answer does not hold up the others.
local function push_parts(job, stage, inputs, now)
  local tasks = TASKS .. job
  local first, next = unpack(redis.call('HMGET', tasks, TASK_FIELD.first_part, TASK_FIELD.next_part))
  first, next = tonumber(first) or 0, tonumber(next) or 0
  for _, input in ipairs(inputs) do
    push(job, string.format('%s:%s:%d', stage, job, next), input, now, next == first)
    next = next + 1
  end
  redis.call('HSET', tasks, TASK_FIELD.next_part, next)
end

-- Push the join, with the parts' outputs, once no more parts will come and all are done. It goes to the front: its parts have
-- waited their turn, and a join takes a moment.
local function join_if_done(job, now)
  local tasks = TASKS .. job
  local join, first, next, done = unpack(redis.call('HMGET', tasks,
    TASK_FIELD.join, TASK_FIELD.first_part, TASK_FIELD.next_part, TASK_FIELD.parts_done))
  first, next = tonumber(first) or 0, tonumber(next) or 0
  if join and (tonumber(done) or 0) == next - first then
    local outputs = {}
    for i = 1, next - first do -- not from `first`: damaged numbers may be too large to count from
      outputs[i] = redis.call('HGET', tasks, TASK_FIELD.part .. first + i - 1)
    end
    push(job, join, #outputs == 0 and '[]' or cjson.encode(outputs), now, true)
  end
end

-- Return how many steps the latest attempt at a task has recorded.
local function recorded_steps(job, task)
  return tonumber(redis.call('HGET', TASKS .. job, TASK_FIELD.steps .. task)) or 0
end

-- Discard the steps and parts of an attempt at the task that did not reach its commit. The next attempt starts from the
-- beginning, with parts of higher numbers, and subscribers are sent `restarted`, so that they discard the old ones too.
local function discard_partial_output(job, task)
  local tasks = TASKS .. job
  for _, part in ipairs(open_tasks(job)) do
    if part_number(part) then
      remove_from_places(job, part)
      delete_task(job, part)
    end
  end
  for _, field in ipairs(redis.call('HKEYS', tasks)) do
    if string.match(field, '^' .. TASK_FIELD.part) then
      redis.call('HDEL', tasks, field)
    end
  end
  local next = tonumber(redis.call('HGET', tasks, TASK_FIELD.next_part)) or 0
  redis.call('HDEL', tasks, TASK_FIELD.steps .. task, TASK_FIELD.parts_done)
  redis.call('HSET', tasks, TASK_FIELD.first_part, next)
  redis.call('HDEL', JOB .. job, FIELD.response, FIELD.first_audio_at)
  publish(job, EVENT.restarted, {first = next})
end
