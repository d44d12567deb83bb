-- Counters for monitoring, in one hash, increased in the step that they count. Its fields:
--   accepted  ended:<status>                    jobs; one that is retried ends once more
--   done:<stage>  retried:<stage>  reclaimed:<stage>  dead_lettered:<stage>:<error code>    tasks
--   waited:<stage>:  worked:<stage>:  first_audio:  total:    times of completed jobs, as in their status: followed by one of
--     BOUNDS_MS, or `more`, for the number of times up to that bound and above the one before; or by `sum`, for their sum in ms
--   engine_event:<name>                         counts that engines add with their commits
-- No job fails if the hash is of another type, or a field of it no number: then nothing is counted.
local function count(name, by)
  redis.pcall('HINCRBY', COUNTS, name, by or '1')
end

-- Any package may bring an engine, and each of its names is a time series: past MAX_COUNTERS no new name is taken.
local function count_engine_events(counts)
  for name, by in pairs(counts) do
    local field, size = 'engine_event:' .. name, redis.pcall('HLEN', COUNTS)
    local has_room = type(size) == 'number' and size < MAX_COUNTERS or redis.pcall('HEXISTS', COUNTS, field) == 1
    if has_room and #name <= 64 and string.find(name, '^[%w_.:-]+$') and by > 0 then
      count(field, by)
    end
  end
end

-- Increase many counters at once: a call for each would take a third of the commit that ends a job.
local function count_all(increments)
  local names, sums = {}, {}
  for name in pairs(increments) do
    names[#names + 1] = name
  end
  local stored = redis.pcall('HMGET', COUNTS, unpack(names))
  for i, name in ipairs(stored.err and {} or names) do
    local before = stored[i] or '0'
    if #before <= 15 and string.find(before, '^%d+$') then
      sums[#sums + 1] = name
      sums[#sums + 1] = string.format('%d', before + increments[name])
    else -- no number, or one that is too large to be exact in Lua
      count(name, increments[name])
    end
  end
  if #sums > 0 then
    redis.call('HSET', COUNTS, unpack(sums))
  end
end

local bounds = BOUNDS_MS

-- Add the time between two moments to `increments`, unless one of them is missing.
local function add_time(increments, name, start, stop)
  start, stop = tonumber(start), tonumber(stop)
  if not (start and stop) then
    return
  end
  local took_ms, bucket = math.max(stop - start, 0), 'more'
  for _, bound in ipairs(bounds) do
    if took_ms <= bound then
      bucket = bound
      break
    end
  end
  increments[name .. ':' .. bucket] = 1
  increments[name .. ':sum'] = took_ms
end

-- Count the waterfall of a completed job.
local function count_times(job, now)
  local times = redis.call('HMGET', JOB .. job, unpack(TIME_FIELDS))
  local increments = {}
  add_time(increments, 'total', times[1], now)
  add_time(increments, 'first_audio', times[1], times[2])
  for i, stage in ipairs(STAGES) do
    local queued_at, begun_at, done_at = times[3 * i], times[3 * i + 1], times[3 * i + 2]
    add_time(increments, 'waited:' .. stage, queued_at, begun_at)
    add_time(increments, 'worked:' .. stage, begun_at, done_at)
  end
  count_all(increments)
end
