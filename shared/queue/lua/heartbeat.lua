-- Renew a worker's lease and its description. Defends against taking a live worker for a dead one.
-- ARGV 1 worker  2 its description (JSON)
-- Replies the tasks that it holds: one that it does not run came with a reply that was lost, and one that it runs but does not
-- hold has been cancelled or reclaimed.
redis.call('ZADD', WORKERS, now_ms() + LEASE_MS, ARGV[1])
redis.call('HSET', WORKER_INFO, ARGV[1], ARGV[2])
return redis.call('LRANGE', HELD .. ARGV[1], 0, -1)
