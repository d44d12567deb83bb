-- Remove a worker that shuts down. The tasks that it still holds go back to the front of their list. Defends against a wait for
-- its lease to run out.
-- ARGV 1 worker  2 stage
for _, task in ipairs(redis.call('LRANGE', HELD .. ARGV[1], 0, -1)) do
  local _, job = parse(task)
  if job then
    clear_owner(job, task)
  end
  redis.call('RPUSH', QUEUE .. ARGV[2], task)
end
redis.call('DEL', HELD .. ARGV[1])
redis.call('ZREM', WORKERS, ARGV[1])
redis.call('HDEL', WORKER_INFO, ARGV[1])
