-- What has happened, counted for good in one hash for whoever watches the system, in the step in which it happens. The fields:
--   accepted  ended:<status>                    jobs; one that is tried again ends once more
--   done:<stage>  retried:<stage>  reclaimed:<stage>  set_aside:<stage>:<error code>    tasks
--   waited:<stage>:  worked:<stage>:  first_audio:  total:    times of completed jobs, as their status tells them: behind the
--     colon one of BOUNDS_MS, or `more`, for how many came up to it and not to the one before; `sum` for their sum, in ms
--   reported:<name>                             what commits have reported
-- No job is to blame if this is no hash, or a field of it no number: what cannot be counted is passed over.
local function count(name, by)
  redis.pcall('HINCRBY', COUNTS, name, by or '1')
end

-- The names are the engines', which may be anybody's: only so many are taken.
local function count_reported(reported)
  for name, by in pairs(reported) do
    local field, kept = 'reported:' .. name, redis.pcall('HLEN', COUNTS)
    local has_room = type(kept) == 'number' and kept < MOST_COUNTS or redis.pcall('HEXISTS', COUNTS, field) == 1
    if has_room and #name <= 64 and string.find(name, '^[%w_.:-]+$') and by > 0 then
      count(field, by)
    end
  end
end

-- Many at once: a call for each would take a third of the commit that ends a job. `by` is by name.
local function count_all(by)
  local names, sums = {}, {}
  for name in pairs(by) do
    names[#names + 1] = name
  end
  local counted = redis.pcall('HMGET', COUNTS, unpack(names))
  for i, name in ipairs(counted.err and {} or names) do
    local before = counted[i] or '0'
    if #before <= 15 and string.find(before, '^%d+$') then -- else it is more than a number here can hold, or none
      sums[#sums + 1] = name
      sums[#sums + 1] = string.format('%d', before + by[name])
    else
      count(name, by[name])
    end
  end
  if #sums > 0 then
    redis.call('HSET', COUNTS, unpack(sums))
  end
end

local bounds = BOUNDS_MS

-- Into `counts`, by name.
local function add_time(counts, name, start, stop)
  start, stop = tonumber(start), tonumber(stop)
  if not (start and stop) then
    return
  end
  local took_ms, bound = math.max(stop - start, 0), 'more'
  for _, each in ipairs(bounds) do
    if took_ms <= each then
      bound = each
      break
    end
  end
  counts[name .. ':' .. bound] = 1
  counts[name .. ':sum'] = took_ms
end

-- A completed job's waterfall.
local function count_times(job, now)
  local at = redis.call('HMGET', JOB .. job, 'created_at', 'first_audio_at', 'queued_at:stt', 'begun_at:stt', 'done_at:stt',
    'queued_at:llm', 'begun_at:llm', 'done_at:llm', 'queued_at:tts', 'begun_at:tts', 'done_at:tts')
  local counts = {}
  add_time(counts, 'total', at[1], now)
  add_time(counts, 'first_audio', at[1], at[2])
  for place, stage in pairs({[3] = 'stt', [6] = 'llm', [9] = 'tts'}) do
    add_time(counts, 'waited:' .. stage, at[place], at[place + 1])
    add_time(counts, 'worked:' .. stage, at[place + 1], at[place + 2])
  end
  count_all(counts)
end
