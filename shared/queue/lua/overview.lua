-- How the queues stand: what waits and for how long, who works, and how much was done in the last minute.
-- Replies JSON: {stages: {<stage>: {waiting, oldest_ms?, done, done_in_ms}}, delayed, dead, live,
--   workers: [[name, what it is (JSON), how many tasks it holds], …] or {}}.
local now = tonumber(now_ms())
local stages = {}
for _, stage in ipairs({'stt', 'llm', 'tts'}) do
  local state = {waiting = redis.call('LLEN', QUEUE .. stage)}
  state.done, state.done_in_ms = done_lately(stage, now)
  local next_task = redis.call('LINDEX', QUEUE .. stage, -1)
  local _, job = parse(next_task or '')
  local since = job and redis.pcall('HGET', JOB .. job, 'queued_at:' .. stage)
  if type(since) == 'string' and tonumber(since) then
    state.oldest_ms = now - tonumber(since)
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
