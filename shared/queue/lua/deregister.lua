-- A worker leaves in good order. What is still in its hands goes back to the front of its list.
-- ARGV 1 worker  2 stage
for _, task in ipairs(redis.call('LRANGE', HELD .. ARGV[1], 0, -1)) do
  local _, job = parse(task)
  if job then
    disown(job, task)
  end
  redis.call('RPUSH', QUEUE .. ARGV[2], task)
end
redis.call('DEL', HELD .. ARGV[1])
redis.call('ZREM', WORKERS, ARGV[1])
redis.call('HDEL', WORKER_INFO, ARGV[1])
