-- Find jobs that are live by their hash but have a task in no place, and put that task back. Nothing should ever make
-- one; this defends against everything that was not thought of.
-- ARGV 1 how old a job must be to be looked at, ms  2 how many minutes of counted work are kept
-- Replies the tasks that were put back.
redis.call('ZADD', LIVE, 'XX', 0, '') -- changes nothing, but fails where Redis refuses to write: no job is to blame for it
local placed = {}
local function note(tasks)
  for _, task in ipairs(tasks) do
    placed[task] = true
  end
end
for _, stage in ipairs({'stt', 'llm', 'tts'}) do
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
  elseif is_over(redis.call('HGET', JOB .. job, 'status')) then
    give_up(job, now) -- it would not be among the live ones
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
    redis.call('HSET', JOB .. job, 'error_code', 'internal_error', 'error_message', 'The job lost its place.')
    finish(job, 'failed', {code = 'internal_error'}, now)
  end
end
for _, job in ipairs(redis.call('ZRANGEBYSCORE', LIVE, '-inf', now - ARGV[1], 'LIMIT', 0, 1000)) do
  if not pcall(restore, job) then
    give_up(job, now) -- somebody has written into its keys
  end
end

local oldest = minute_of(now) - ARGV[2]
for _, field in ipairs(redis.pcall('HKEYS', DONE)) do
  if (tonumber(string.match(field, ':(%d+)$')) or 0) < oldest then
    redis.call('HDEL', DONE, field)
  end
end
return restored
