-- Jobs, tasks and the places where tasks are.
--
-- A task is named "<stage>:<job id>", with ":<number>" after it for a part, or ":join" for the task that joins the parts.
-- TASK_FIELD names the fields of a job's TASKS hash. An open task has its input there, while it is claimed the token and the
-- worker of its attempt, and the counts of its attempts.

-- Format a whole number: Redis would take ten times as long.
local function digits(number)
  return string.format('%d', number)
end

local started_at -- the time of the script

-- Return the time in ms since the epoch, the same in all of a script, by Redis's clock: those of workers may differ.
local function now_ms()
  if not started_at then
    local time = redis.call('TIME')
    started_at = string.format('%d%03d', time[1], time[2] / 1000) -- a string, since Redis is slow at printing numbers
  end
  return started_at
end

-- Return the minute by which completed tasks are counted.
local function minute_of(time_ms)
  return math.floor(time_ms / 60000)
end

-- Return how many tasks a stage has completed in this minute and the one before, and how many ms these are.
local function recent_rate(stage, now)
  local minute = minute_of(now)
  local done = redis.call('HMGET', DONE, stage .. ':' .. minute, stage .. ':' .. minute - 1)
  return (tonumber(done[1]) or 0) + (tonumber(done[2]) or 0), 60000 + now % 60000
end

-- Return a task's stage and job, or nil for a name that is no task's.
local function parse(task)
  return string.match(task, '^(%l+):(%x+)')
end

-- Return the number of a part, or nil for any other task.
local function part_number(task)
  return tonumber(string.match(task, '^%l+:%x+:(%d+)$'))
end

-- Publish an event, named by EVENT or by the status of an ended job, to the job's subscribers.
local function publish(job, event, payload)
  redis.call('XADD', EVENTS .. job, '*', 'event', event, 'data', cjson.encode(payload))
  redis.call('PUBLISH', CHANNEL, job .. ' ' .. event)
end

-- Return a hash, as HGETALL replies it, as a table.
local function to_table(pairs)
  local fields = {}
  for i = 1, #pairs, 2 do
    fields[pairs[i]] = pairs[i + 1]
  end
  return fields
end

-- Push a task to the front of its list, but behind those that were pushed there before and still wait.
local function push_to_front(stage, task)
  local last = redis.pcall('GETSET', AHEAD .. stage, task) -- no job fails if that is no string
  if type(last) ~= 'string' or redis.call('LINSERT', QUEUE .. stage, 'BEFORE', last, task) <= 0 then
    redis.call('RPUSH', QUEUE .. stage, task)
  end
end

local function push(job, task, input, now, to_front)
  local stage = string.match(task, '^%l+')
  redis.call('HSET', TASKS .. job, TASK_FIELD.input .. task, input)
  redis.call('HSETNX', JOB .. job, FIELD.queued_at .. stage, now)
  if to_front then
    push_to_front(stage, task)
  else
    redis.call('LPUSH', QUEUE .. stage, task)
  end
end

local function push_all(job, tasks, now)
  for _, task in ipairs(tasks) do
    push(job, task[1], task[2], now)
  end
end

-- Return whether a job with this status has ended; one without a hash has.
local function has_ended(status)
  return status ~= STATUS.pending and status ~= STATUS.processing
end

-- Return every task of a job that has not been committed. A field of another form is ignored.
local function open_tasks(job)
  local open = {}
  for _, field in ipairs(redis.call('HKEYS', TASKS .. job)) do
    open[#open + 1] = string.match(field, '^' .. TASK_FIELD.input .. '(%l+:%x.*)')
  end
  return open
end

-- Remove an open task from its place. A worker that holds it learns so from its next heartbeat, and cannot commit.
local function remove_from_places(job, task)
  redis.call('LREM', QUEUE .. parse(task), 0, task)
  redis.call('ZREM', DELAYED, task)
  local worker = redis.call('HGET', TASKS .. job, TASK_FIELD.worker .. task)
  if worker then
    redis.call('LREM', HELD .. worker, 0, task)
  end
end

-- End the current attempt at a task, if there is one. A key of another type has none.
local function clear_owner(job, task)
  redis.pcall('HDEL', TASKS .. job, TASK_FIELD.token .. task, TASK_FIELD.worker .. task)
end

-- Delete the data of a task that is done.
local function delete_task(job, task)
  redis.call('HDEL', TASKS .. job, TASK_FIELD.input .. task, TASK_FIELD.token .. task, TASK_FIELD.worker .. task,
    TASK_FIELD.attempts .. task, TASK_FIELD.crashes .. task, TASK_FIELD.uncounted .. task, TASK_FIELD.steps .. task)
end

-- Write the results of a task, or of a step of it, with more pairs of field and value, and publish its events.
local function record(job, outcome, now, ...)
  local changes = {FIELD.updated_at, now, ...}
  for field, value in pairs(outcome.fields) do
    changes[#changes + 1] = field
    changes[#changes + 1] = value
  end
  redis.call('HSET', JOB .. job, unpack(changes))
  for _, event in ipairs(outcome.events) do
    publish(job, event[1], event[2])
  end
end

-- Move a job whose hash says that it has ended from the live jobs to the ended ones.
local function move_to_ended(job, status, payload, now)
  redis.call('ZREM', LIVE, job)
  redis.call('ZADD', ENDED, now, job)
  count('ended:' .. status)
  publish(job, status, payload)
end

local function end_job(job, status, payload, now)
  redis.call('HSET', JOB .. job, FIELD.status, status, FIELD.updated_at, now, FIELD.ended_at, now)
  move_to_ended(job, status, payload, now)
end
