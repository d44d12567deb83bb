-- Take tasks off the dead list, with what they would have needed to be tried again. Their jobs stay failed.
-- ARGV 1 the job whose tasks go; absent for all
-- Replies how many went.
local purged = 0
for _, task in ipairs(redis.call('LRANGE', DEAD, 0, -1)) do
  local _, job = parse(task)
  if not ARGV[1] or job == ARGV[1] then
    redis.call('LREM', DEAD, 0, task)
    if job then
      redis.call('DEL', TASKS .. job)
    end
    purged = purged + 1
  end
end
return purged
