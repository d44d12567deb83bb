-- Push the tasks of live jobs that are in no place. No verb should ever leave one there: this defends against faults that the
-- other scripts do not foresee.
-- ARGV 1 age from which a job is checked, ms  2 how many minutes of completed work stay counted
-- Replies the tasks that were pushed.
redis.call('ZADD', LIVE, 'XX', 0, '') -- changes nothing, but fails where Redis refuses to write: no job must fail for that
local placed = {}
local function note(tasks)
  for _, task in ipairs(tasks) do
    placed[task] = true
  end
end
for _, stage in ipairs(STAGES) do
  note(redis.call('LRANGE', QUEUE .. stage, 0, -1))
end
for _, worker in ipairs(redis.call('ZRANGE', WORKERS, 0, -1)) do
  note(redis.call('LRANGE', HELD .. worker, 0, -1))
end
note(redis.call('ZRANGE', DELAYED, 0, -1))
note(redis.call('LRANGE', DEAD, 0, -1))

local now, restored = now_ms(), {}
local function restore(job)
  if redis.call('EXISTS', JOB .. job) == 0 then
    redis.call('DEL', TASKS .. job, EVENTS .. job)
    redis.call('ZREM', LIVE, job)
    return
  elseif has_ended(redis.call('HGET', JOB .. job, FIELD.status)) then
    fail_unreadable(job, now) -- an ended job is not among the live ones
    return
  end
  local open = open_tasks(job)
  for _, task in ipairs(open) do
    if not placed[task] then
      redis.call('RPUSH', QUEUE .. parse(task), task)
      restored[#restored + 1] = task
    end
  end
  if #open == 0 then
    local code, message = 'internal_error', 'The job lost its place.'
    redis.call('HSET', JOB .. job, FIELD.error_code, code, FIELD.error_message, message)
    end_job(job, STATUS.failed, {code = code, message = message}, now)
  end
end
for _, job in ipairs(redis.call('ZRANGEBYSCORE', LIVE, '-inf', now - ARGV[1], 'LIMIT', 0, 1000)) do
  if not pcall(restore, job) then
    fail_unreadable(job, now) -- another program has damaged its keys
  end
end

local oldest = minute_of(now) - ARGV[2]
for _, field in ipairs(redis.pcall('HKEYS', DONE)) do
  if (tonumber(string.match(field, ':(%d+)$')) or 0) < oldest then
    redis.call('HDEL', DONE, field)
  end
end
return restored
