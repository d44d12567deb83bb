-- Find jobs that are live by their hash but have a task in no place, and put that task back. Nothing should ever make
-- one; this defends against everything that was not thought of.
-- ARGV 1 how old a job must be to be looked at, ms
-- Replies the tasks that were put back.
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
for _, job in ipairs(redis.call('ZRANGEBYSCORE', LIVE, '-inf', now - ARGV[1], 'LIMIT', 0, 1000)) do
  local open = 0
  for _, field in ipairs(redis.call('HKEYS', TASKS .. job)) do
    local task = string.match(field, '^input:(.+)')
    if task then
      open = open + 1
      if not placed[task] then
        redis.call('RPUSH', QUEUE .. parse(task), task)
        restored[#restored + 1] = task
      end
    end
  end
  if open == 0 then
    if redis.call('EXISTS', JOB .. job) == 1 then
      redis.call('HSET', JOB .. job, 'error_code', 'internal_error', 'error_message', 'The job lost its place.')
      finish(job, 'failed', {code = 'internal_error'}, now)
    else
      redis.call('ZREM', LIVE, job)
    end
  end
end
return restored
