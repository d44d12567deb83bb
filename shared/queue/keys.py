"""Every Redis key of the system, in one block. Lua sees the same names as local variables."""

KEYS = {
    # Followed by a job's id.
    "JOB": "cascade:job:",  # hash: the job-status hash
    "TASKS": "cascade:tasks:",  # hash: what the job's open tasks need, and the segments that are done
    "EVENTS": "cascade:events:",  # stream: what happened to the job, in order, for whoever comes late: all of it
    # Followed by a conversation's id.
    "CONVERSATION": "cascade:conversation:",  # hash: its turns, and what they have in common
    # Followed by a stage's name.
    "QUEUE": "cascade:queue:",  # list: tasks that wait; in at the left, out at the right
    "AHEAD": "cascade:ahead:",  # string: the last task that was put before those that wait
    # Followed by a worker's name.
    "HELD": "cascade:held:",  # list: tasks in that worker's hands
    # Followed by the hash of a caller's Idempotency-Key.
    "IDEMPOTENCY": "cascade:idempotency:",  # string: the job that the key has made
    # Whole names.
    "DELAYED": "cascade:delayed",  # sorted set: task -> when it is due again
    "DEAD": "cascade:dead",  # list: tasks that are set aside
    "WORKERS": "cascade:workers",  # sorted set: worker -> its heartbeat's deadline
    "WORKER_INFO": "cascade:worker-info",  # hash: worker -> what it is, as JSON
    "LIVE": "cascade:live",  # sorted set: jobs that have not ended -> when they were made
    "ENDED": "cascade:ended",  # sorted set: jobs that have ended -> when
    "DONE": "cascade:done",  # hash: "<stage>:<minute>" -> tasks that were committed in that minute since the epoch
    "COUNTS": "cascade:counts",  # hash: what -> how often it has happened since Redis was first started; see counts.lua
    "SWEPT_AT": "cascade:swept-at",  # string: when somebody last looked for dead workers
    "CHANNEL": "cascade:events",  # publish/subscribe: "<job id> <event>" after each event
}

#: A worker whose heartbeat is older than this is dead, and what it held goes back: ten beats in a row must be lost
#: before a live worker is robbed.
LEASE_MS = 5_000

#: How often a worker may die on one task before the task is set aside.
MAX_CRASHES = 3

#: How many turns of a conversation are kept, and how much of them a model may be told at most: far more than it is told
#: by default (LLM_HISTORY_TOKENS), and little enough for one reply.
TURNS_KEPT, HISTORY_BYTES = 100, 256_000

#: Times are counted by these bounds, in ms: from a cached piece of speech to a job that has waited for half an hour.
BOUNDS_MS = (50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 1_800_000)

#: Past so many counts no more names are taken from engines: each is a time series for whoever watches.
MOST_COUNTS = 500

#: The head of every script.
_NUMBERS = {
    "LEASE_MS": LEASE_MS,
    "MAX_CRASHES": MAX_CRASHES,
    "TURNS_KEPT": TURNS_KEPT,
    "HISTORY_BYTES": HISTORY_BYTES,
    "MOST_COUNTS": MOST_COUNTS,
}
LUA_CONSTANTS = {name: repr(value) for name, value in (KEYS | _NUMBERS).items()}
LUA_CONSTANTS["BOUNDS_MS"] = f"{{{', '.join(map(str, BOUNDS_MS))}}}"
