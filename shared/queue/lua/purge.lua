-- Take tasks off the dead list, with what they would have needed to be tried again. Their jobs stay failed.
-- ARGV 1 the job whose tasks go; absent for all
-- Replies how many went.
local purged = 0
for _, task in ipairs(redis.call('LRANGE', DEAD, 0, -1)) do
  local _, job = parse(task)
  if not ARGV[1] or job == ARGV[1] then
    if job and is_over(redis.pcall('HGET', JOB .. job, 'status')) then -- else it is a stray copy
      redis.call('DEL', TASKS .. job)
    end
    if ARGV[1] then
      redis.call('LREM', DEAD, 0, task)
    end
    purged = purged + 1
  end
end
if not ARGV[1] then
  redis.call('DEL', DEAD) -- at once: to look for each in a long list would keep Redis busy for minutes
end
return purged
