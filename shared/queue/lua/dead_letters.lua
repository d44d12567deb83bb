-- List the dead letters, the latest first.
-- ARGV 1 how many at most  2 the job whose dead letters are listed; absent for all
-- Replies JSON: [{task, job_id?, stage?, code?, message?, failed_at?, attempts?, input?}, …].
local letters = {}
for _, task in ipairs(redis.call('LRANGE', DEAD, 0, -1)) do
  local stage, job = parse(task)
  if #letters >= tonumber(ARGV[1]) then
    break
  elseif not ARGV[2] or job == ARGV[2] then
    local letter = {task = task}
    if job then
      -- A key of another type replies an error, which has no elements: then nothing is known.
      local failure = redis.pcall('HMGET', JOB .. job, FIELD.error_code, FIELD.error_message, FIELD.ended_at)
      local data = redis.pcall('HMGET', TASKS .. job, TASK_FIELD.attempts .. task, TASK_FIELD.input .. task)
      letter.job_id, letter.stage = job, stage
      letter.code, letter.message, letter.failed_at = failure[1] or nil, failure[2] or nil, failure[3] or nil
      letter.attempts, letter.input = data[1] or nil, data[2] or nil
    end
    letters[#letters + 1] = letter
  end
end
return #letters == 0 and '[]' or cjson.encode(letters)
