-- Read the state of the queues: what waits and for how long, which workers there are, and how much was done lately.
-- Replies JSON: {stages: {<stage>: {waiting, oldest_ms?, done, done_in_ms}}, delayed, dead, live,
--   workers: [[name, description (JSON), how many tasks it holds], …] or {}}.
local now = tonumber(now_ms())
local stages = {}
for _, stage in ipairs(STAGES) do
  local state = {waiting = redis.call('LLEN', QUEUE .. stage)}
  state.done, state.done_in_ms = recent_rate(stage, now)
  local next_task = redis.call('LINDEX', QUEUE .. stage, -1)
  local _, job = parse(next_task or '')
  local queued_at = job and redis.pcall('HGET', JOB .. job, FIELD.queued_at .. stage)
  if type(queued_at) == 'string' and tonumber(queued_at) then
    state.oldest_ms = now - tonumber(queued_at)
  end
  stages[stage] = state
end
local workers = {}
for _, worker in ipairs(redis.call('ZRANGEBYSCORE', WORKERS, now, '+inf')) do
  local info = redis.call('HGET', WORKER_INFO, worker)
  if info then
    workers[#workers + 1] = {worker, info, redis.call('LLEN', HELD .. worker)}
  end
end
return cjson.encode({
  stages = stages,
  delayed = redis.call('ZCARD', DELAYED),
  dead = redis.call('LLEN', DEAD),
  live = redis.call('ZCARD', LIVE),
  workers = workers,
})
