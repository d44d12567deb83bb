-- Accept a job, whole or not at all. Defends against half-accepted jobs, overload, and a repeated upload.
-- ARGV 1 job id  2 fields of the job (JSON object)  3 first tasks (JSON [[task, input], …])
--      4 how many jobs may be live  5 idempotency key or ''  6 how long the key is remembered, ms
--      7 the conversation that it is a turn of, or ''  8 how long that is kept, ms
-- Replies {'accepted'}, {'exists', job id} or {'full'}.
local job, idempotency = ARGV[1], IDEMPOTENCY .. ARGV[5]
if redis.call('EXISTS', JOB .. job) == 1 then
  return {'exists', job} -- the call is repeated, since its first reply was lost
end
if ARGV[5] ~= '' then
  local first = redis.call('GET', idempotency)
  if first and redis.call('EXISTS', JOB .. first) == 1 then
    return {'exists', first}
  end
end
if redis.call('ZCARD', LIVE) >= tonumber(ARGV[4]) then
  return {'full'}
end
local now = now_ms()
local tasks, fields = cjson.decode(ARGV[3]), cjson.decode(ARGV[2])
if ARGV[7] ~= '' then
  add_turn(job, ARGV[7], ARGV[8], fields, now)
end
local first_stage = parse(tasks[1][1])
local pairs_to_set = {FIELD.status, STATUS.pending, FIELD.stage, first_stage, FIELD.created_at, now, FIELD.updated_at, now}
for field, value in pairs(fields) do
  pairs_to_set[#pairs_to_set + 1] = field
  pairs_to_set[#pairs_to_set + 1] = value
end
redis.call('HSET', JOB .. job, unpack(pairs_to_set))
redis.call('ZADD', LIVE, now, job)
if ARGV[5] ~= '' then
  redis.call('SET', idempotency, job, 'PX', ARGV[6])
end
push_all(job, tasks, now)
count('accepted')
publish(job, EVENT.pending, {})
return {'accepted'}
