-- What all scripts share. Prepended to each of them, after the names of the keys, turns.lua and counts.lua.
--
-- A task is named "<stage>:<job id>" with, for a part of a joined whole, ":<index>" or ":join" behind it.
-- The TASKS hash of a job holds, for each open task: input:<task>, and while it is claimed token:<task> and worker:<task>;
-- attempts:<task> counts its executions, crashes:<task> those that did not end in an orderly way, excused:<task> those that
-- failed by what the job has nothing to do with; steps:<task> is there once its latest attempt has recorded steps, and how
-- many.
--
-- Parts are numbered on and on. Those that one attempt has pushed are a generation: from first_part up to next_part.
-- parts_done counts those of them that are done, with what each has made in part:<index>, and join is the task that follows
-- when all are: it is there once no more will come.

-- A whole number as it is printed: Redis would print it ten times as slowly.
local function digits(number)
  return string.format('%d', number)
end

local now -- the same in all of a script

local function now_ms()
  if not now then
    local time = redis.call('TIME') -- Redis's own clock: those of workers may differ
    now = string.format('%d%03d', time[1], time[2] / 1000) -- a string, since Redis is slow at printing numbers
  end
  return now
end

-- Work is counted by the minute.
local function minute_of(time_ms)
  return math.floor(time_ms / 60000)
end

-- How many tasks a stage has done, and in how many ms: this minute and the one before.
local function done_lately(stage, now)
  local minute = minute_of(now)
  local done = redis.call('HMGET', DONE, stage .. ':' .. minute, stage .. ':' .. minute - 1)
  return (tonumber(done[1]) or 0) + (tonumber(done[2]) or 0), 60000 + now % 60000
end

local function parse(task)
  return string.match(task, '^(%l+):(%x+)')
end

-- The number of a part; nil for any other task.
local function number_of(task)
  return tonumber(string.match(task, '^%l+:%x+:(%d+)$'))
end

local function publish(job, event, data)
  redis.call('XADD', EVENTS .. job, '*', 'event', event, 'data', cjson.encode(data))
  redis.call('PUBLISH', CHANNEL, job .. ' ' .. event)
end

-- A hash or a list of pairs as HGETALL replies it, as a table.
local function by_name(pairs)
  local named = {}
  for i = 1, #pairs, 2 do
    named[pairs[i]] = pairs[i + 1]
  end
  return named
end

-- To the front of a list, but behind those that have come there by the same way and still wait.
local function push_ahead(stage, task)
  local last = redis.pcall('GETSET', AHEAD .. stage, task) -- no job is to blame if that is no string
  if type(last) ~= 'string' or redis.call('LINSERT', QUEUE .. stage, 'BEFORE', last, task) <= 0 then
    redis.call('RPUSH', QUEUE .. stage, task)
  end
end

local function push(job, task, input, now, goes_ahead)
  local stage = string.match(task, '^%l+')
  redis.call('HSET', TASKS .. job, 'input:' .. task, input)
  redis.call('HSETNX', JOB .. job, 'queued_at:' .. stage, now)
  if goes_ahead then
    push_ahead(stage, task)
  else
    redis.call('LPUSH', QUEUE .. stage, task)
  end
end

local function push_all(job, tasks, now)
  for _, task in ipairs(tasks) do
    push(job, task[1], task[2], now)
  end
end

-- Push more parts of a whole. The first goes ahead: somebody is waiting to hear the first word, and one jump an answer keeps
-- nobody from being served.
local function push_parts(job, stage, inputs, now)
  local tasks = TASKS .. job
  local first, next = unpack(redis.call('HMGET', tasks, 'first_part', 'next_part'))
  first, next = tonumber(first) or 0, tonumber(next) or 0
  for _, input in ipairs(inputs) do
    push(job, string.format('%s:%s:%d', stage, job, next), input, now, next == first)
    next = next + 1
  end
  redis.call('HSET', tasks, 'next_part', next)
end

-- Once no more parts will come and all of them are done, their join follows, with what they have made. It goes ahead: the
-- parts have waited their turn, and what is left takes a moment.
local function join_if_done(job, now)
  local tasks = TASKS .. job
  local join, first, next, done = unpack(redis.call('HMGET', tasks, 'join', 'first_part', 'next_part', 'parts_done'))
  first, next = tonumber(first) or 0, tonumber(next) or 0
  if join and (tonumber(done) or 0) == next - first then
    local outputs = {}
    for number = 1, next - first do -- counted by itself: damaged numbers may be too large to count on from
      outputs[number] = redis.call('HGET', tasks, 'part:' .. first + number - 1)
    end
    push(job, join, #outputs == 0 and '[]' or cjson.encode(outputs), now, true)
  end
end

-- Holding is the proof of ownership. The token tells this attempt from a newer one of the same worker; it is random,
-- since a counter could be given out twice after Redis has lost its last second.
-- `steps` are those that the attempt knows of: with its last second Redis may have lost some.
local function let_go(job, task, worker, token, steps)
  local in_force, recorded = unpack(redis.call('HMGET', TASKS .. job, 'token:' .. task, 'steps:' .. task))
  if in_force ~= token or steps and steps ~= (tonumber(recorded) or 0) then
    return false
  end
  return redis.call('LREM', HELD .. worker, 1, task) == 1
end

-- Whether a job has ended; one that is gone has.
local function is_over(status)
  return status ~= 'pending' and status ~= 'processing'
end

-- No attempt at the task is in force any more. Where somebody has put something else than a hash there, none was.
local function disown(job, task)
  redis.pcall('HDEL', TASKS .. job, 'token:' .. task, 'worker:' .. task)
end

local function close(job, task)
  redis.call('HDEL', TASKS .. job, 'input:' .. task, 'token:' .. task, 'worker:' .. task,
    'attempts:' .. task, 'crashes:' .. task, 'excused:' .. task, 'steps:' .. task)
end

-- Let go of a task whose attempt has ended. Replies what keeps the caller from going on: 'stale' if it was not, or no
-- longer, this attempt's; 'over' if the job has ended meanwhile; nil if nothing does. Of a job that failed the task stays
-- open, in no place, until somebody has the job tried again or forgotten.
local function settle(job, task, worker, token, steps)
  local status = redis.call('HGET', JOB .. job, 'status') -- first: if this fails, nothing has changed
  if not let_go(job, task, worker, token, steps) then
    return 'stale'
  end
  if is_over(status) then
    disown(job, task)
    return 'over'
  end
end

-- Write what a step of a task has made: fields of the job, and events.
local function record(job, outcome, now, ...)
  local changed = {'updated_at', now, ...}
  for field, value in pairs(outcome.fields) do
    changed[#changed + 1] = field
    changed[#changed + 1] = value
  end
  redis.call('HSET', JOB .. job, unpack(changed))
  for _, event in ipairs(outcome.events) do
    publish(job, event[1], event[2])
  end
end

-- Take a job whose hash says that it has ended out of the live ones.
local function close_job(job, status, data, now)
  redis.call('ZREM', LIVE, job)
  redis.call('ZADD', ENDED, now, job)
  count('ended:' .. status)
  publish(job, status, data)
end

local function finish(job, status, data, now)
  redis.call('HSET', JOB .. job, 'status', status, 'updated_at', now, 'ended_at', now)
  close_job(job, status, data, now)
end

-- Every task of a job that has not been committed. A name that is none of ours is passed over.
local function open_tasks(job)
  local open = {}
  for _, field in ipairs(redis.call('HKEYS', TASKS .. job)) do
    open[#open + 1] = string.match(field, '^input:(%l+:%x.*)')
  end
  return open
end

-- Take an open task out of whatever place it is in. Whoever works on it learns of it from its next heartbeat, and cannot
-- commit.
local function withdraw(job, task)
  redis.call('LREM', QUEUE .. parse(task), 0, task)
  redis.call('ZREM', DELAYED, task)
  local worker = redis.call('HGET', TASKS .. job, 'worker:' .. task)
  if worker then
    redis.call('LREM', HELD .. worker, 0, task)
  end
end

-- How many steps the latest attempt at a task has recorded.
local function steps_of(job, task)
  return tonumber(redis.call('HGET', TASKS .. job, 'steps:' .. task)) or 0
end

-- Take back what an attempt at the task has recorded step by step, if it did not come to its end: the next one makes it
-- anew, with parts of other numbers. Whoever has heard some of it is told to forget that.
local function retract(job, task)
  local tasks = TASKS .. job
  for _, part in ipairs(open_tasks(job)) do
    if number_of(part) then
      withdraw(job, part)
      close(job, part)
    end
  end
  for _, field in ipairs(redis.call('HKEYS', tasks)) do
    if string.match(field, '^part:') then
      redis.call('HDEL', tasks, field)
    end
  end
  local next = tonumber(redis.call('HGET', tasks, 'next_part')) or 0
  redis.call('HDEL', tasks, 'steps:' .. task, 'parts_done')
  redis.call('HSET', tasks, 'first_part', next)
  redis.call('HDEL', JOB .. job, 'response', 'first_audio_at')
  publish(job, 'restarted', {first = next})
end

-- Set a task aside and fail its job. The task's input stays, so that it can be looked at and tried again.
local function set_aside(job, task, code, message, now)
  redis.call('LPUSH', DEAD, task)
  local stage = parse(task)
  count('set_aside:' .. stage .. ':' .. code)
  redis.call('HSET', JOB .. job, 'stage', stage, 'error_code', code, 'error_message', message)
  finish(job, 'failed', {stage = stage, code = code, message = message}, now)
end

-- Fail a job whose keys hold what none of us wrote: whoever waits for it must hear of its end. Nothing of its hash can be
-- trusted but a time that is one.
local function give_up(job, now)
  local created_at = redis.pcall('HGET', JOB .. job, 'created_at')
  drop_turn(job)
  redis.call('DEL', JOB .. job)
  for key, kind in pairs({[TASKS .. job] = 'hash', [EVENTS .. job] = 'stream'}) do
    if redis.call('TYPE', key).ok ~= kind then
      redis.call('DEL', key)
    end
  end
  local message = 'What was stored of this job could not be read.'
  redis.call('HSET', JOB .. job, 'job_id', job, 'created_at', type(created_at) == 'string' and tonumber(created_at) or now,
    'error_code', 'job_corrupted', 'error_message', message)
  finish(job, 'failed', {code = 'job_corrupted', message = message}, now)
end

-- A task that has come into the worker's hands but that nobody has begun: BLMOVE puts it at the head.
local function not_begun(worker)
  local task = redis.call('LINDEX', HELD .. worker, 0)
  if task then
    local _, job = parse(task)
    if not job or redis.call('HGET', TASKS .. job, 'worker:' .. task) ~= worker then
      return task
    end
  end
end

-- Start an attempt at a held task; if none is named, at one that has just come, or else the next one of the list.
-- Replies as begin.lua does.
local function begin(worker, token, stage, task)
  local held = HELD .. worker
  if not task then
    task = not_begun(worker) or redis.call('LMOVE', QUEUE .. stage, held, 'RIGHT', 'LEFT')
    if not task then
      return {'empty'}
    end
  elseif not redis.call('LPOS', held, task) then
    return {'dropped', 'reclaimed'} -- taken back while this worker was away
  end

  local task_stage, job = parse(task)
  if task_stage ~= stage then -- not a task of ours: somebody else wrote into the list
    redis.call('LREM', held, 1, task)
    redis.call('LPUSH', DEAD, task)
    return {'dropped', 'unreadable'}
  end
  local field = by_name(redis.call('HGETALL', JOB .. job))
  if is_over(field.status) then
    redis.call('LREM', held, 1, task)
    return {'dropped', 'over'}
  end
  local tasks = TASKS .. job
  local input, last_token, attempts, owner, crashes, excused, steps = unpack(redis.call('HMGET', tasks, 'input:' .. task,
    'token:' .. task, 'attempts:' .. task, 'worker:' .. task, 'crashes:' .. task, 'excused:' .. task, 'steps:' .. task))
  if not input then
    redis.call('LREM', held, 1, task)
    return {'dropped', 'done'} -- a second copy of a task that has been committed
  end
  if owner and owner ~= worker and redis.call('LPOS', HELD .. owner, task) then
    redis.call('LREM', held, 1, task)
    return {'dropped', 'duplicate'} -- a second copy of a task that somebody else is working on
  end

  local attempt = tonumber(attempts)
  if last_token ~= token then -- else the same call once more: its first reply was lost
    local now = now_ms()
    attempt = (attempt or 0) + 1
    crashes = (tonumber(crashes) or 0) + 1
    if crashes > MAX_CRASHES then
      redis.call('LREM', held, 1, task)
      redis.call('HSET', tasks, 'crashes:' .. task, crashes)
      disown(job, task)
      set_aside(job, task, 'worker_died', 'Processing stopped unexpectedly each time this input was tried.', now)
      return {'dropped', 'worker_died'}
    end
    if steps then
      retract(job, task)
    end
    -- One that was struck off while it was paused may die before its next beat: somebody must look into its hands.
    redis.pcall('ZADD', WORKERS, 'NX', digits(now + LEASE_MS), worker) -- no job is to blame if that is no sorted set
    redis.call('HSET', tasks, 'token:' .. task, token, 'worker:' .. task, worker,
      'attempts:' .. task, digits(attempt), 'crashes:' .. task, digits(crashes))
    local begun = 'begun_at:' .. stage
    redis.call('HSET', JOB .. job, 'status', 'processing', 'stage', stage, 'updated_at', now,
      'attempts:' .. stage, digits((field['attempts:' .. stage] or 0) + 1), begun, field[begun] or now)
    if attempt > 1 or not field[begun] then
      publish(job, 'processing', {stage = stage, attempt = attempt})
    end
  end
  return {'begun', task, attempt, input, cjson.encode(field), tonumber(excused) or 0,
    stage == 'llm' and earlier_turns(job, field) or {}, redis.call('LLEN', QUEUE .. stage)}
end
