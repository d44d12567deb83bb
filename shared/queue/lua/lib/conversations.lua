-- Conversations: their turns, and what later turns inherit from earlier ones.
--
-- The CONVERSATION hash numbers its turns upwards as they are submitted, from `first` up to `next`. TURN_FIELD names its
-- fields: those of a turn, such as user:<turn>; and those of the conversation: its language and voice, each with the turn that
-- set it, and ttl_ms, by which each turn prolongs its life.
--
-- A job knows its conversation_id and its turn. The turn is the job's only if the conversation has the same: one that was
-- deleted or has expired, and was started again with the same id, knows no job of the first. So no late commit restores a turn
-- that was erased.
--
-- Another program may have damaged a conversation. No job fails for that: it runs without history.

-- Return the conversation's key if the turn is the job's, else nil.
local function turn_key(job, id, turn)
  local key = CONVERSATION .. (id or '')
  if id and turn and redis.pcall('HGET', key, TURN_FIELD.job .. turn) == job then
    return key
  end
end

local function delete_turn(key, turn)
  redis.call('HDEL', key, TURN_FIELD.job .. turn, TURN_FIELD.at .. turn, TURN_FIELD.user .. turn, TURN_FIELD.assistant .. turn)
end

-- Give a new job the next turn, and the language and voice of the conversation where the job names none. `fields` are the
-- job's.
local function add_turn(job, id, ttl_ms, fields, now)
  local key = CONVERSATION .. id
  if redis.call('TYPE', key).ok ~= 'hash' then
    redis.call('DEL', key)
  end
  local first, turn, language, voice =
    unpack(redis.call('HMGET', key, TURN_FIELD.first, TURN_FIELD.next, TURN_FIELD.language, TURN_FIELD.voice))
  first, turn = tonumber(first) or 0, tonumber(turn) or 0
  if turn - first >= TURNS_KEPT then
    delete_turn(key, first)
    first = first + 1
  end
  redis.call('HSET', key, TURN_FIELD.first, first, TURN_FIELD.next, turn + 1, TURN_FIELD.ttl_ms, ttl_ms,
    TURN_FIELD.job .. turn, job, TURN_FIELD.at .. turn, now)
  local question = fields[FIELD.transcript]
  if question then
    redis.call('HSET', key, TURN_FIELD.user .. turn, question)
  end
  redis.call('PEXPIRE', key, ttl_ms)
  fields[FIELD.conversation_id], fields[FIELD.turn] = id, turn
  local has_recording = string.match(fields[FIELD.route] or '', '^' .. STAGE.stt)
  local language_field = has_recording and FIELD.language_hint or FIELD.language
  fields[language_field] = fields[language_field] or language or nil
  fields[FIELD.voice] = fields[FIELD.voice] or voice or nil
end

-- Save a commit's transcript or answer in the job's turn, and the job's language, and with `has_audio` its voice, for later
-- turns: they have worked. Where turns overlap, the latest one decides.
local function save_turn(job, results, has_audio)
  local id, turn, language, voice =
    unpack(redis.call('HMGET', JOB .. job, FIELD.conversation_id, FIELD.turn, FIELD.language, FIELD.voice))
  local key = turn_key(job, id, turn)
  if not key then
    return
  end
  local function inherit(field, set_by, value)
    if value and (tonumber(redis.call('HGET', key, set_by)) or 0) <= tonumber(turn) then
      redis.call('HSET', key, field, value, set_by, turn)
    end
  end
  inherit(TURN_FIELD.language, TURN_FIELD.language_of, language)
  inherit(TURN_FIELD.voice, TURN_FIELD.voice_of, has_audio and voice)
  local function save(field, text)
    if text then
      redis.call('HSET', key, field .. turn, text)
    end
  end
  save(TURN_FIELD.user, results[FIELD.transcript])
  save(TURN_FIELD.assistant, results[FIELD.response])
  redis.pcall('PEXPIRE', key, redis.call('HGET', key, TURN_FIELD.ttl_ms) or '')
end

-- Erase a job's turn.
local function erase_turn(job)
  local fields = redis.pcall('HMGET', JOB .. job, FIELD.conversation_id, FIELD.turn) -- of a key that is no hash: an error
  local key = turn_key(job, fields[1], fields[2])
  if key then
    delete_turn(key, fields[2])
  end
end

-- Return the earlier turns that have an answer by now: {{user, assistant}, …}, the latest first. `fields` are the job's.
local function earlier_turns(job, fields)
  local turns, bytes = {}, 0
  local key = turn_key(job, fields[FIELD.conversation_id], fields[FIELD.turn])
  local own = key and tonumber(fields[FIELD.turn]) or 0
  for turn = own - 1, math.max(own - TURNS_KEPT, 0), -1 do
    local user, assistant = unpack(redis.call('HMGET', key, TURN_FIELD.user .. turn, TURN_FIELD.assistant .. turn))
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
