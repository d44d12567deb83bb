-- Begin a held task, or take the next one of the list and begin it in the same step. Defends against input that kills
-- its worker again and again, and against work for a job that is over.
-- ARGV 1 worker  2 token of this attempt  3 how many crashes a task may cause  4 stage  5 the held task; absent to take one
-- Replies {'empty'}, {'dropped', why}, or {'begun', task, attempt, input, fields of the job}.
local worker, token, stage, task = ARGV[1], ARGV[2], ARGV[4], ARGV[5]
local held = HELD .. worker
if not task then
  task = redis.call('LMOVE', QUEUE .. stage, held, 'RIGHT', 'LEFT')
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
local status = redis.call('HGET', JOB .. job, 'status')
if not status or is_over(status) then
  redis.call('LREM', held, 1, task)
  return {'dropped', 'over'}
end
local tasks = TASKS .. job
local known = redis.call('HMGET', tasks, 'input:' .. task, 'token:' .. task, 'attempts:' .. task, 'worker:' .. task)
if not known[1] then
  redis.call('LREM', held, 1, task)
  return {'dropped', 'done'} -- a second copy of a task that has been committed
end
if known[4] and known[4] ~= worker and redis.call('LPOS', HELD .. known[4], task) then
  redis.call('LREM', held, 1, task)
  return {'dropped', 'duplicate'} -- a second copy of a task that somebody else is working on
end

local attempt = tonumber(known[3])
if known[2] ~= token then -- else the same call once more: its first reply was lost
  if redis.call('HINCRBY', tasks, 'crashes:' .. task, 1) > tonumber(ARGV[3]) then
    local now = now_ms()
    redis.call('LREM', held, 1, task)
    redis.call('HDEL', tasks, 'token:' .. task, 'worker:' .. task)
    set_aside(job, task, 'worker_died', 'Processing stopped unexpectedly each time this input was tried.', now)
    return {'dropped', 'worker_died'}
  end
  local now = now_ms()
  attempt = redis.call('HINCRBY', tasks, 'attempts:' .. task, 1)
  redis.call('HSET', tasks, 'token:' .. task, token, 'worker:' .. task, worker)
  redis.call('HSET', JOB .. job, 'status', 'processing', 'stage', stage, 'updated_at', now)
  redis.call('HINCRBY', JOB .. job, 'attempts:' .. stage, 1)
  if redis.call('HSETNX', JOB .. job, 'begun_at:' .. stage, now) == 1 or attempt > 1 then
    publish(job, 'processing', {stage = stage, attempt = attempt})
  end
end
return {'begun', task, attempt, known[1], redis.call('HGETALL', JOB .. job)}
