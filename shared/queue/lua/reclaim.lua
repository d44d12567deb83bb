-- Return the tasks that dead workers held to the front of their list. Defends against crashes and unplugged machines.
-- Replies these tasks.
local now = tonumber(now_ms())
local swept_at = tonumber(redis.call('GET', SWEPT_AT))
redis.call('SET', SWEPT_AT, now)
if not swept_at or now - swept_at > LEASE_MS or swept_at > now then
  -- No process has swept for longer than a lease: Redis was away and no worker could send a heartbeat, or its clock has jumped.
  -- Every worker gets one more lease; otherwise live ones would lose all their work.
  for _, worker in ipairs(redis.call('ZRANGE', WORKERS, 0, -1)) do
    redis.call('ZADD', WORKERS, now + LEASE_MS, worker)
  end
  return {}
end
local reclaimed = {}
for _, worker in ipairs(redis.call('ZRANGEBYSCORE', WORKERS, '-inf', now)) do
  for _, task in ipairs(redis.call('LRANGE', HELD .. worker, 0, -1)) do
    local stage, job = parse(task)
    if stage then
      clear_owner(job, task)
      redis.call('RPUSH', QUEUE .. stage, task)
      count('reclaimed:' .. stage)
      reclaimed[#reclaimed + 1] = task
    else
      redis.call('LPUSH', DEAD, task)
    end
  end
  redis.call('DEL', HELD .. worker)
  redis.call('ZREM', WORKERS, worker)
  redis.call('HDEL', WORKER_INFO, worker)
end
return reclaimed
