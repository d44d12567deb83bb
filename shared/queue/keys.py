"""Every Redis key of the system, the fields of its hashes but for the job hash, and the queue's limits, in one block.

Lua scripts use the same names: `QUEUE .. stage`, `TASK_FIELD.input .. task`, `LEASE_MS`.
"""

KEYS = {
    # Followed by a job's id.
    "JOB": "cascade:job:",  # hash: the job, see job_fields.py
    "TASKS": "cascade:tasks:",  # hash: the job's open tasks and finished parts, see TASK_FIELDS
    "EVENTS": "cascade:events:",  # stream: the job's events, all of them, for subscribers that come late
    # Followed by a conversation's id.
    "CONVERSATION": "cascade:conversation:",  # hash: its turns, see TURN_FIELDS
    # Followed by a stage's name.
    "QUEUE": "cascade:queue:",  # list: waiting tasks; in at the left, out at the right
    "AHEAD": "cascade:ahead:",  # string: the last task that was pushed to the front of the list
    # Followed by a worker's name.
    "HELD": "cascade:held:",  # list: the tasks that the worker holds
    # Followed by the hash of a caller's Idempotency-Key.
    "IDEMPOTENCY": "cascade:idempotency:",  # string: the job that was submitted with the key
    # Whole names.
    "DELAYED": "cascade:delayed",  # sorted set: task -> when it is due
    "DEAD": "cascade:dead",  # list: dead-lettered tasks
    "WORKERS": "cascade:workers",  # sorted set: worker -> when its lease ends
    "WORKER_INFO": "cascade:worker-info",  # hash: worker -> its description, as JSON
    "LIVE": "cascade:live",  # sorted set: jobs that have not ended -> when they were accepted
    "ENDED": "cascade:ended",  # sorted set: jobs that have ended -> when
    "DONE": "cascade:done",  # hash: "<stage>:<minute>" -> tasks that were committed in that minute since the epoch
    "COUNTS": "cascade:counts",  # hash: counters since Redis was first started, see lua/lib/counters.lua
    "SWEPT_AT": "cascade:swept-at",  # string: when a process last looked for dead workers
    "CHANNEL": "cascade:events",  # publish/subscribe: "<job id> <event>" after each event
}

#: Fields of the TASKS hash. One that ends with a colon is followed by a task's name, or by a part's number.
TASK_FIELDS = {
    "input": "input:",  # the task's input; there for each open task
    "token": "token:",  # the token of the current attempt
    "worker": "worker:",  # the worker of the current attempt
    "attempts": "attempts:",  # how many attempts were started
    "crashes": "crashes:",  # how many of them did not end in order
    "uncounted": "uncounted:",  # how many of them failed for a reason that has nothing to do with the job
    "steps": "steps:",  # how many steps the latest attempt has recorded
    "first_part": "first_part",  # the number of the first part of the current generation
    "next_part": "next_part",  # the number of the next part
    "parts_done": "parts_done",  # how many parts of the generation are done
    "part": "part:",  # the output of a finished part
    "join": "join",  # the task that joins the parts; there once no more parts will come
}

#: Fields of the CONVERSATION hash. One that ends with a colon is followed by a turn's number.
TURN_FIELDS = {
    "job": "job:",  # the turn's job
    "at": "at:",  # when it was submitted, in ms since the epoch
    "user": "user:",  # the transcript or the written question, once known
    "assistant": "assistant:",  # the answer, once known
    "first": "first",  # the number of the oldest turn
    "next": "next",  # the number of the next turn
    "language": "language",  # the language of the latest turn that had one
    "language_of": "language_of",  # the number of that turn
    "voice": "voice",  # the voice of the latest turn that asked for one
    "voice_of": "voice_of",  # the number of that turn
    "ttl_ms": "ttl_ms",  # how long the conversation lives after a turn
}

#: A worker whose last heartbeat is older than this is dead, and the tasks that it held are reclaimed: ten heartbeats in
#: a row must be lost before a live worker loses its tasks.
LEASE_MS = 5_000

#: How many workers may die on one task before it is dead-lettered.
MAX_CRASHES = 3

#: How many turns of a conversation are kept.
TURNS_KEPT = 100

#: The largest history that a claim carries: far more than a model is sent by default (LLM_HISTORY_TOKENS), and little
#: enough for one reply.
HISTORY_BYTES = 256_000

#: The bounds by which times are counted, in ms: from a cached segment to a job that has waited for half an hour.
BOUNDS_MS = (50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 1_800_000)

#: Past so many counters no more names are taken from engines: each is a time series for Prometheus.
MAX_COUNTERS = 500
