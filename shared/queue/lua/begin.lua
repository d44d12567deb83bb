-- Start an attempt at a held task; without a name at the held task that has none, or else at the next one of the list. Defends
-- against input that kills its worker again and again, and against work for a job that has ended.
-- ARGV 1 worker  2 token of this attempt  3 stage  4 the held task; absent to take one
-- Replies {'empty'}, {'dropped', reason}, or {'begun', task, attempt, input, the job hash (JSON), attempts that do not count,
-- earlier turns of the conversation, how many more tasks wait}. Turns are [[user, assistant], …], the latest first, and only for
-- an LLM task.
return begin(ARGV[1], ARGV[2], ARGV[3], ARGV[4])
