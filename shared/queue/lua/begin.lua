-- Begin a held task; or, where none is named, one that has just come, or else the next one of the list. Defends against input that kills
-- its worker again and again, and against work for a job that is over.
-- ARGV 1 worker  2 token of this attempt  3 stage  4 the held task; absent to take one
-- Replies {'empty'}, {'dropped', why}, or {'begun', task, attempt, input, fields of the job (JSON), attempts that are excused,
-- earlier turns of its conversation: [[user, assistant], …], the latest first, and none but for an LLM task; how many
-- more wait in the list}.
return begin(ARGV[1], ARGV[2], ARGV[3], ARGV[4])
