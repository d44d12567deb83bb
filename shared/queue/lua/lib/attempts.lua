-- Attempts: how a worker starts one at a task, proves that it is the current one, and ends it.

-- Remove the task from the worker's held list; return false if the attempt is not the current one. Holding the task proves
-- ownership, and the token distinguishes the attempt from a newer one of the same worker. It is random, since Redis could issue a
-- counter's value twice after it has lost its last second. `steps` are those that the attempt has counted: Redis may have lost
-- some with its last second, too.
local function release_hold(job, task, worker, token, steps)
  local current, recorded = unpack(redis.call('HMGET', TASKS .. job, TASK_FIELD.token .. task, TASK_FIELD.steps .. task))
  if current ~= token or steps and steps ~= (tonumber(recorded) or 0) then
    return false
  end
  return redis.call('LREM', HELD .. worker, 1, task) == 1
end

-- End an attempt. Return nil if its result may be recorded, else the rejection: 'stale' if the attempt was not the current one,
-- 'job_ended' if its job has ended. The task of a job that failed stays open, in no place, until an operator retries the job or
-- it is erased.
local function finish_attempt(job, task, worker, token, steps)
  local status = redis.call('HGET', JOB .. job, FIELD.status) -- first: if this fails, nothing has changed
  if not release_hold(job, task, worker, token, steps) then
    return 'stale'
  end
  if has_ended(status) then
    clear_owner(job, task)
    return 'job_ended'
  end
end

-- Put a task on the dead list and fail its job. The task's input stays, so that an operator can look at it and retry the job.
local function dead_letter(job, task, code, message, now)
  redis.call('LPUSH', DEAD, task)
  local stage = parse(task)
  count('dead_lettered:' .. stage .. ':' .. code)
  redis.call('HSET', JOB .. job, FIELD.stage, stage, FIELD.error_code, code, FIELD.error_message, message)
  end_job(job, STATUS.failed, {stage = stage, code = code, message = message}, now)
end

-- Fail a job whose keys another program has damaged, so that its clients learn of its end. Of its hash only the creation time
-- is kept, if it is a number.
local function fail_unreadable(job, now)
  local created_at = redis.pcall('HGET', JOB .. job, FIELD.created_at)
  erase_turn(job)
  redis.call('DEL', JOB .. job)
  for key, kind in pairs({[TASKS .. job] = 'hash', [EVENTS .. job] = 'stream'}) do
    if redis.call('TYPE', key).ok ~= kind then
      redis.call('DEL', key)
    end
  end
  local code, message = ERROR_CODE.job_corrupted, ERROR_MESSAGE.job_corrupted
  redis.call('HSET', JOB .. job, FIELD.job_id, job,
    FIELD.created_at, type(created_at) == 'string' and tonumber(created_at) or now,
    FIELD.error_code, code, FIELD.error_message, message)
  end_job(job, STATUS.failed, {code = code, message = message}, now)
end

-- Return the held task that the worker has no attempt at, if it is the latest: BLMOVE puts it at the head.
local function unclaimed_task(worker)
  local task = redis.call('LINDEX', HELD .. worker, 0)
  if task then
    local _, job = parse(task)
    if not job or redis.call('HGET', TASKS .. job, TASK_FIELD.worker .. task) ~= worker then
      return task
    end
  end
end

-- Start an attempt at a held task; without a name at the held task that has none, or else at the next one of the list. Replies
-- as begin.lua does. `has_lease` says that the worker has just proved to be in WORKERS.
local function begin(worker, token, stage, task, has_lease)
  local held = HELD .. worker
  if not task then
    task = unclaimed_task(worker) or redis.call('LMOVE', QUEUE .. stage, held, 'RIGHT', 'LEFT')
    if not task then
      return {'empty'}
    end
  elseif not redis.call('LPOS', held, task) then
    return {'dropped', 'reclaimed'} -- while this worker was paused
  end

  local task_stage, job = parse(task)
  if task_stage ~= stage then -- no task of this stage: another program has pushed it
    redis.call('LREM', held, 1, task)
    redis.call('LPUSH', DEAD, task)
    return {'dropped', 'unreadable'}
  end
  local fields = to_table(redis.call('HGETALL', JOB .. job))
  if has_ended(fields[FIELD.status]) then
    redis.call('LREM', held, 1, task)
    return {'dropped', 'job_ended'}
  end
  local tasks = TASKS .. job
  local input, last_token, attempts, owner, crashes, uncounted, steps = unpack(redis.call('HMGET', tasks,
    TASK_FIELD.input .. task, TASK_FIELD.token .. task, TASK_FIELD.attempts .. task, TASK_FIELD.worker .. task,
    TASK_FIELD.crashes .. task, TASK_FIELD.uncounted .. task, TASK_FIELD.steps .. task))
  if not input then
    redis.call('LREM', held, 1, task)
    return {'dropped', 'done'} -- a second copy of a task that has been committed
  end
  if owner and owner ~= worker and redis.call('LPOS', HELD .. owner, task) then
    redis.call('LREM', held, 1, task)
    return {'dropped', 'duplicate'} -- a second copy of a task that another worker holds
  end

  local attempt = tonumber(attempts)
  if last_token ~= token then -- else the call is repeated, since its first reply was lost
    local now = now_ms()
    attempt = (attempt or 0) + 1
    crashes = (tonumber(crashes) or 0) + 1
    if crashes > MAX_CRASHES then
      redis.call('LREM', held, 1, task)
      redis.call('HSET', tasks, TASK_FIELD.crashes .. task, crashes)
      clear_owner(job, task)
      dead_letter(job, task, ERROR_CODE.worker_died, ERROR_MESSAGE.worker_died, now)
      return {'dropped', ERROR_CODE.worker_died}
    end
    if steps then
      discard_partial_output(job, task)
    end
    -- A worker whose lease ran out while it was paused may die before its next heartbeat: it needs one for the reclaim to find.
    if not has_lease then
      redis.pcall('ZADD', WORKERS, 'NX', digits(now + LEASE_MS), worker) -- no job fails if that is no sorted set
    end
    redis.call('HSET', tasks, TASK_FIELD.token .. task, token, TASK_FIELD.worker .. task, worker,
      TASK_FIELD.attempts .. task, digits(attempt), TASK_FIELD.crashes .. task, digits(crashes))
    local begun_at, stage_attempts = FIELD.begun_at .. stage, FIELD.attempts .. stage
    redis.call('HSET', JOB .. job, FIELD.status, STATUS.processing, FIELD.stage, stage, FIELD.updated_at, now,
      stage_attempts, digits((fields[stage_attempts] or 0) + 1), begun_at, fields[begun_at] or now)
    if attempt > 1 or not fields[begun_at] then
      publish(job, EVENT.processing, {stage = stage, attempt = attempt})
    end
  end
  return {'begun', task, attempt, input, cjson.encode(fields), tonumber(uncounted) or 0,
    stage == STAGE.llm and earlier_turns(job, fields) or {}, redis.call('LLEN', QUEUE .. stage)}
end
