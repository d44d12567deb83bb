-- Drop dead letters, with the input that a retry would need. Their jobs stay failed. Defends against a dead list that grows for
-- ever.
-- ARGV 1 the job whose dead letters are dropped; absent for all
-- Replies how many were dropped.
local purged = 0
for _, task in ipairs(redis.call('LRANGE', DEAD, 0, -1)) do
  local _, job = parse(task)
  if not ARGV[1] or job == ARGV[1] then
    if job and has_ended(redis.pcall('HGET', JOB .. job, FIELD.status)) then -- else it is a stray copy
      redis.call('DEL', TASKS .. job)
    end
    if ARGV[1] then
      redis.call('LREM', DEAD, 0, task)
    end
    purged = purged + 1
  end
end
if not ARGV[1] then
  redis.call('DEL', DEAD) -- at once: to search a long list for each would block Redis for minutes
end
return purged
