-- Read a conversation.
-- ARGV 1 its id
-- Replies nothing if there is none, or {its fields and their values, how long it lives, ms}.
local key = CONVERSATION .. ARGV[1]
if redis.call('TYPE', key).ok == 'hash' then
  return {redis.call('HGETALL', key), redis.call('PTTL', key)}
end
