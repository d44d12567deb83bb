-- What has happened, counted for good in one hash for whoever watches the system, in the step in which it happens. The fields:
--   accepted  ended:<status>                    jobs; one that is tried again ends once more
--   done:<stage>  retried:<stage>  reclaimed:<stage>  set_aside:<stage>:<error code>    tasks
--   waited:<stage>:  worked:<stage>:  first_audio:  total:    times of completed jobs, as their status tells them: behind the
--     colon one of BOUNDS_MS, or `more`, for how many came up to it and not to the one before; `sum` for their sum, in ms
--   reported:<name>                             what commits have reported
-- No job is to blame if this is no hash, or a field of it no number: what cannot be counted is passed over.
local function count(name, by)
  redis.pcall('HINCRBY', COUNTS, name, by or 1)
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

local function count_time(name, start, stop)
  start, stop = tonumber(start), tonumber(stop)
  if not (start and stop) then
    return
  end
  local took_ms, bound = math.max(stop - start, 0), 'more'
  for _, each in ipairs(BOUNDS_MS) do
    if took_ms <= each then
      bound = each
      break
    end
  end
  count(name .. ':' .. bound)
  count(name .. ':sum', took_ms)
end

-- A completed job's waterfall.
local function count_times(job, now)
  local at = redis.call('HMGET', JOB .. job, 'created_at', 'first_audio_at', 'queued_at:stt', 'begun_at:stt', 'done_at:stt',
    'queued_at:llm', 'begun_at:llm', 'done_at:llm', 'queued_at:tts', 'begun_at:tts', 'done_at:tts')
  count_time('total', at[1], now)
  count_time('first_audio', at[1], at[2])
  for place, stage in pairs({[3] = 'stt', [6] = 'llm', [9] = 'tts'}) do
    count_time('waited:' .. stage, at[place], at[place + 1])
    count_time('worked:' .. stage, at[place + 1], at[place + 2])
  end
end
