-- Move delayed tasks that are due to the front of their list: they have waited long enough.
-- Replies how many.
local due = redis.call('ZRANGEBYSCORE', DELAYED, '-inf', now_ms(), 'LIMIT', 0, 100)
for _, task in ipairs(due) do
  redis.call('ZREM', DELAYED, task)
  local stage = parse(task)
  redis.call('RPUSH', stage and QUEUE .. stage or DEAD, task)
end
return #due
