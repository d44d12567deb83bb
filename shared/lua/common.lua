-- What all scripts share. Prepended to each of them, after the names of the keys.
--
-- A task is named "<stage>:<job id>" with, for a part of a joined whole, ":<index>" or ":join" behind it.
-- The TASKS hash of a job holds, for each open task: input:<task>, and while it is claimed token:<task> and worker:<task>;
-- attempts:<task> counts its executions, crashes:<task> those that did not end in an orderly way.

local function now_ms()
  local time = redis.call('TIME') -- Redis's own clock: those of workers may differ
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function parse(task)
  return string.match(task, '^(%l+):(%x+)')
end

local function publish(job, event, data)
  redis.call('XADD', EVENTS .. job, 'MAXLEN', '~', EVENTS_KEPT, '*', 'event', event, 'data', cjson.encode(data))
  redis.call('PUBLISH', CHANNEL, job .. ' ' .. event)
end

local function push(job, task, input, now)
  local stage = parse(task)
  redis.call('HSET', TASKS .. job, 'input:' .. task, input)
  redis.call('HSETNX', JOB .. job, 'queued_at:' .. stage, now)
  redis.call('LPUSH', QUEUE .. stage, task)
end

-- Push what comes next. With a join, the tasks are its parts, and it follows when the last of them is done.
local function fan_out(job, tasks, join, now)
  if join then
    redis.call('HSET', TASKS .. job, 'join', join, 'parts', #tasks)
  end
  for _, task in ipairs(tasks) do
    push(job, task[1], task[2], now)
  end
end

-- Holding is the proof of ownership. The token tells this attempt from a newer one of the same worker; it is random,
-- since a counter could be given out twice after Redis has lost its last second.
local function let_go(job, task, worker, token)
  if redis.call('HGET', TASKS .. job, 'token:' .. task) ~= token then
    return false
  end
  return redis.call('LREM', HELD .. worker, 1, task) == 1
end

local function is_over(status)
  return status ~= 'pending' and status ~= 'processing'
end

local function close(job, task)
  redis.call('HDEL', TASKS .. job, 'input:' .. task, 'token:' .. task, 'worker:' .. task,
    'attempts:' .. task, 'crashes:' .. task)
end

local function finish(job, status, data, now)
  redis.call('HSET', JOB .. job, 'status', status, 'updated_at', now, 'ended_at', now)
  redis.call('ZREM', LIVE, job)
  redis.call('ZADD', ENDED, now, job)
  publish(job, status, data)
end

-- Set a task aside and fail its job. The task's input stays, so that it can be looked at and tried again.
local function set_aside(job, task, code, message, now)
  redis.call('LPUSH', DEAD, task)
  local stage = parse(task)
  redis.call('HSET', JOB .. job, 'stage', stage, 'error_code', code, 'error_message', message)
  finish(job, 'failed', {stage = stage, code = code, message = message}, now)
end
