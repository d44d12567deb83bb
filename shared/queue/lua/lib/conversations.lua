-- What scripts do to conversations. Prepended to each of them, before common.lua.
--
-- The CONVERSATION hash of one holds its turns, which are numbered on and on as they are submitted, from first up to next:
-- job:<turn>, at:<turn>, and once they are known user:<turn> and assistant:<turn>; and what its turns have in common: language
-- and voice, with the turn that last told each in language_of and voice_of, and ttl_ms, for which each turn prolongs its life.
--
-- A job knows its conversation_id and its turn. It has that turn only if the conversation knows as much: one that has been
-- deleted, or has expired, and was begun anew under the same id, knows nothing of the jobs of the first. So no late commit
-- brings back what was erased.
--
-- A conversation may be damaged by somebody else. No job is to blame for it: it is then one without a memory.

-- The conversation's key, where the turn is the job's.
local function key_of_turn(job, id, turn)
  local key = CONVERSATION .. (id or '')
  if id and turn and redis.pcall('HGET', key, 'job:' .. turn) == job then
    return key
  end
end

local function erase_turn(key, turn)
  redis.call('HDEL', key, 'job:' .. turn, 'at:' .. turn, 'user:' .. turn, 'assistant:' .. turn)
end

-- Give a new job the next turn, and what the conversation knows and the job does not name. `fields` are those of the job.
local function take_turn(job, id, ttl_ms, fields, now)
  local key = CONVERSATION .. id
  if redis.call('TYPE', key).ok ~= 'hash' then
    redis.call('DEL', key)
  end
  local first, turn, language, voice = unpack(redis.call('HMGET', key, 'first', 'next', 'language', 'voice'))
  first, turn = tonumber(first) or 0, tonumber(turn) or 0
  if turn - first >= TURNS_KEPT then
    erase_turn(key, first)
    first = first + 1
  end
  redis.call('HSET', key, 'first', first, 'next', turn + 1, 'ttl_ms', ttl_ms, 'job:' .. turn, job, 'at:' .. turn, now)
  if fields.transcript then
    redis.call('HSET', key, 'user:' .. turn, fields.transcript)
  end
  redis.call('PEXPIRE', key, ttl_ms)
  fields.conversation_id, fields.turn = id, turn
  local spoken_in = string.match(fields.route or '', '^stt') and 'language_hint' or 'language'
  fields[spoken_in] = fields[spoken_in] or language or nil
  fields.voice = fields.voice or voice or nil
end

-- Remember what the commit of a task has made, and in which language and voice: what has worked is proposed to later turns.
-- Where turns overlap, the latest of them has the say.
local function remember(job, made, is_heard)
  local id, turn, language, voice = unpack(redis.call('HMGET', JOB .. job, 'conversation_id', 'turn', 'language', 'voice'))
  local key = key_of_turn(job, id, turn)
  if not key then
    return
  end
  local told = {language = language, voice = is_heard and voice}
  for _, name in ipairs({'language', 'voice'}) do
    if told[name] and (tonumber(redis.call('HGET', key, name .. '_of')) or 0) <= tonumber(turn) then
      redis.call('HSET', key, name, told[name], name .. '_of', turn)
    end
  end
  for field, side in pairs({transcript = 'user:', response = 'assistant:'}) do
    if made[field] then
      redis.call('HSET', key, side .. turn, made[field])
    end
  end
  redis.pcall('PEXPIRE', key, redis.call('HGET', key, 'ttl_ms') or '')
end

-- Erase a job's turn.
local function drop_turn(job)
  local told = redis.pcall('HMGET', JOB .. job, 'conversation_id', 'turn') -- of a key that is no hash nothing is told
  local key = key_of_turn(job, told[1], told[2])
  if key then
    erase_turn(key, told[2])
  end
end

-- The turns before a job's own that have been answered by now: {{user, assistant}, …}, the latest first.
local function earlier_turns(job, field)
  local turns, bytes = {}, 0
  local key = key_of_turn(job, field.conversation_id, field.turn)
  local own = key and tonumber(field.turn) or 0
  for turn = own - 1, math.max(own - TURNS_KEPT, 0), -1 do
    local user, assistant = unpack(redis.call('HMGET', key, 'user:' .. turn, 'assistant:' .. turn))
    if user and assistant then
      bytes = bytes + #user + #assistant
      if bytes > HISTORY_BYTES then
        break
      end
      turns[#turns + 1] = {user, assistant}
    end
  end
  return turns
end
