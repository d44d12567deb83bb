-- A worker's heartbeat: it lives, and this is what it is. Defends against taking a live worker for a dead one.
-- ARGV 1 worker  2 what it is (JSON)
-- Replies the tasks in its hands: one that it does not run was handed over in a reply that got lost, and one that it
-- runs but does not hold has been cancelled or reclaimed.
redis.call('ZADD', WORKERS, now_ms() + LEASE_MS, ARGV[1])
redis.call('HSET', WORKER_INFO, ARGV[1], ARGV[2])
return redis.call('LRANGE', HELD .. ARGV[1], 0, -1)
