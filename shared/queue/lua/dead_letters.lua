-- What lies on the dead list, the latest first.
-- ARGV 1 how many at most  2 the job whose tasks are wanted; absent for all
-- Replies JSON: [{task, job_id?, stage?, code?, message?, failed_at?, attempts?, input?}, …].
local letters = {}
for _, task in ipairs(redis.call('LRANGE', DEAD, 0, -1)) do
  local stage, job = parse(task)
  if #letters >= tonumber(ARGV[1]) then
    break
  elseif not ARGV[2] or job == ARGV[2] then
    local letter = {task = task}
    if job then
      -- Of a key that is no hash nothing is told: an error has no elements.
      local told = redis.pcall('HMGET', JOB .. job, 'error_code', 'error_message', 'ended_at')
      local needed = redis.pcall('HMGET', TASKS .. job, 'attempts:' .. task, 'input:' .. task)
      letter.job_id, letter.stage = job, stage
      letter.code, letter.message, letter.failed_at = told[1] or nil, told[2] or nil, told[3] or nil
      letter.attempts, letter.input = needed[1] or nil, needed[2] or nil
    end
    letters[#letters + 1] = letter
  end
end
return #letters == 0 and '[]' or cjson.encode(letters)
