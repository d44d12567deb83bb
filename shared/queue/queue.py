"""The queue: every verb is one atomic step in Redis.

A task is at every moment in exactly one place: its stage's list, one worker's held list, the delayed set, or the dead
list. It leaves a place only in the step that records its result and pushes the tasks that follow. The steps are the
scripts in `lua/`; each script's header says what it defends against.
"""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from typing import Any, Self

from pydantic import SecretStr

from shared.errors import QueueFull, QueueUnreadable
from shared.queue import job_fields
from shared.queue.events import PositionEvent
from shared.queue.job import Job
from shared.queue.keys import KEYS
from shared.queue.messages import Claim, NewTask, Outcome, QueueStats, WorkerInfo
from shared.queue.redis_client import RedisClient
from shared.queue.stages import STAGES, Stage

#: How long one BLMOVE waits. Short, so that a worker that is stopped leaves it soon.
BLOCK_S = 1.0

#: The window over which the rate of ending jobs is measured.
RATE_WINDOW_MS = 60_000

#: How many minutes of completed tasks stay counted.
MINUTES_KEPT = 60

#: Past this share of its `maxmemory` Redis accepts no new jobs: the rest is for those that were accepted.
MEMORY_SHARE = 0.8

#: How long an Idempotency-Key is remembered, and a conversation lives after a turn, unless the caller says otherwise.
_DAY_MS = 86_400_000


class Queue:
    """The verbs of callers, workers and sweeps on jobs and tasks.

    Every method raises QueueUnavailable when Redis does not answer; each but those that claim may then be called again
    with the same arguments, since the scripts recognize a repeated call. Every method raises QueueUnreadable when Redis
    holds something that the queue has not written.
    """

    def __init__(self, client: RedisClient) -> None:
        self.client = client

    @classmethod
    def connect(cls, url: str, *, password: SecretStr | None = None, timeout_s: float | None = None) -> Self:
        """Return a queue at `url`. Nothing is sent before the first call.

        `password` is for a `url` that has none. `timeout_s` bounds each call to a Redis that accepts connections but
        does not reply; without it, calls wait, as a worker's should, which has nothing else to do.

        Raises:
            StartupError: `url` is not a Redis URL.
        """
        return cls(RedisClient.connect(url, password, timeout_s))

    async def close(self) -> None:
        await self.client.close()

    async def ping(self) -> None:
        await self.client.command("ping")

    # Jobs

    async def submit(
        self,
        job_id: str,
        fields: dict[str, str],
        tasks: Sequence[NewTask],
        *,
        max_live: int,
        idempotency_key: str = "",
        remember_ms: int = _DAY_MS,
        conversation_id: str = "",
        conversation_ttl_ms: int = _DAY_MS,
    ) -> str:
        """Accept a job and return its id, or that of an earlier job if the call or its key is repeated.

        With a `conversation_id` the job becomes the conversation's next turn, which prolongs the conversation's life.

        Raises:
            QueueFull: `max_live` jobs have not ended yet.
        """
        reply = await self.client.run_script(
            "submit",
            job_id,
            json.dumps({job_fields.JOB_ID: job_id} | fields),
            json.dumps(tasks),
            max_live,
            idempotency_key,
            remember_ms,
            conversation_id,
            conversation_ttl_ms,
        )
        if reply[0] == "full":
            raise QueueFull
        return str(reply[1]) if reply[0] == "exists" else job_id

    async def has_key(self, idempotency_key: str) -> bool:
        """Return whether a `submit` with this key would return an earlier job, unless that has been erased since."""
        return bool(await self.client.command("exists", KEYS["IDEMPOTENCY"] + idempotency_key))

    async def fields(self, job_id: str) -> dict[str, str]:
        """Return the whole job hash; empty for an unknown job."""
        fields: dict[str, str] = await self.client.command("hgetall", KEYS["JOB"] + job_id)
        return fields

    async def job(self, job_id: str) -> Job | None:
        fields = await self.fields(job_id)
        try:
            return Job.from_hash(fields) if fields else None
        except (LookupError, ValueError, OverflowError) as error:  # another program has changed it
            raise QueueUnreadable from error

    async def cancel(self, job_id: str) -> str:
        """End a live job and erase its text. Return `cancelled`, or `job_ended` or `gone` if there was nothing to
        end."""
        return str(await self.client.run_script("cancel", job_id))

    async def erase(self, job_id: str, *, with_turn: bool = False) -> bool:
        """Erase an ended job, `with_turn` also its turn of a conversation; return False if it is live or gone."""
        return bool(await self.client.run_script("erase", job_id, int(with_turn)))

    async def ended_before(self, age_ms: int, limit: int = 500) -> list[str]:
        """Return the jobs that ended more than `age_ms` ago, oldest first."""
        before = await self._now_ms() - age_ms
        ended: list[str] = await self.client.command("zrangebyscore", KEYS["ENDED"], "-inf", before, 0, limit)
        return ended

    async def cancelled_within(self, age_ms: int) -> list[str]:
        """Return the jobs that were cancelled within the last `age_ms`."""
        cancelled: list[str] = await self.client.run_script("cancelled", age_ms)
        return cancelled

    async def events(self, job_id: str, after: str = "") -> list[dict[str, Any]]:
        """Return a job's events, oldest first, each as its `id`, its name in `event`, and its payload. With the id of
        one in `after`, only those after it."""
        entries = await self.client.command("xrange", KEYS["EVENTS"] + job_id, f"({after}" if after else "-")
        try:
            return [{"id": key, "event": entry["event"]} | dict(json.loads(entry["data"])) for key, entry in entries]
        except (LookupError, ValueError, TypeError) as error:  # another program has changed it
            raise QueueUnreadable from error

    async def position(self, job_id: str) -> PositionEvent | None:
        """Return a job's place in its stage's list, or None if the job does not wait."""
        reply = await self.client.run_script("position", job_id)
        if not reply:
            return None
        stage, ahead, done, done_in_ms = reply
        wait_s = round((ahead + 1) * done_in_ms / 1000 / done, 1) if done else None
        return PositionEvent(stage, ahead, wait_s)

    async def changes(self) -> AsyncIterator[str]:
        """Yield the id of each job that has a new event, and first an empty one once subscribed: a caller that has read
        a job before that moment should read it again. Ends only by QueueUnavailable."""
        async for message in self.client.subscribe(KEYS["CHANNEL"], BLOCK_S):
            yield "" if message is None else message.partition(" ")[0]

    async def stats(self) -> QueueStats:
        """Return the load of the system."""
        live, ended, used, allowed = await self.client.run_script("stats", RATE_WINDOW_MS)
        is_full = bool(allowed) and used > MEMORY_SHARE * allowed
        return QueueStats(live=live, ended_per_s=ended * 1000 / RATE_WINDOW_MS, memory_full=is_full)

    # Claims

    async def claim(self, worker: str, stage: Stage, token: str) -> Claim | None:
        """Move the stage's next task to the worker's held list, waiting a second for one, and start an attempt at it.

        Return None if there was none, or it needs no work. Never repeat this blindly: after an error look at `held`
        first, since a task may have been moved although the reply was lost.
        """
        move = "BLMOVE", KEYS["QUEUE"] + stage, KEYS["HELD"] + worker, "RIGHT", "LEFT", BLOCK_S
        return Claim.read(await self.client.run_script_after(move, "begin", worker, token, stage), token)

    async def claim_more(self, worker: str, stage: Stage, tokens: Sequence[str]) -> list[Claim]:
        """Start an attempt with each of `tokens` at one of the stage's next tasks, without waiting for any. As with
        `claim`, never repeat this blindly."""
        replies = await self.client.run_scripts("begin", [(worker, token, stage) for token in tokens])
        claims = (Claim.read(reply, token) for reply, token in zip(replies, tokens, strict=True))
        return [claim for claim in claims if claim]

    async def begin(self, worker: str, stage: Stage, token: str, task: str) -> Claim | None:
        """Start an attempt at a task that the worker holds; return None if the task needs no work."""
        return Claim.read(await self.client.run_script("begin", worker, token, stage, task), token)

    # Ends of an attempt. Each returns what it did, or `job_ended` if the job has ended meanwhile, or `stale` if the
    # attempt is not the task's current one.

    async def commit(self, worker: str, claim: Claim, outcome: Outcome) -> str:
        """Record a task's result: `committed`."""
        reply = await self.client.run_script("commit", claim.task, worker, claim.token, outcome.as_json())
        return str(reply[0])

    async def commit_and_claim(
        self, worker: str, claim: Claim, outcome: Outcome, token: str
    ) -> tuple[str, Claim | None]:
        """`commit`, and in the same step start an attempt at the stage's next task, if one waits. Never repeat this:
        after an error call `commit`, and look at `held`."""
        verdict, reply = await self.client.run_script_once(
            "commit", claim.task, worker, claim.token, outcome.as_json(), token
        )
        return str(verdict), Claim.read(reply, token)

    async def commit_partial(self, worker: str, claim: Claim, outcome: Outcome) -> str:
        """Record a step of a task that the worker continues to hold: `recorded`."""
        return str(await self.client.run_script("commit_partial", claim.task, worker, claim.token, outcome.as_json()))

    async def reschedule(
        self,
        worker: str,
        claim: Claim,
        delay_s: float,
        code: str,
        *,
        crashed: bool,
        counts_as_attempt: bool = True,
    ) -> str:
        """Have a task that failed tried again after a delay: `rescheduled`."""
        delay_ms = round(delay_s * 1000)
        flags = int(crashed), int(not counts_as_attempt)
        return str(await self.client.run_script("reschedule", claim.task, worker, claim.token, delay_ms, code, *flags))

    async def dead_letter(self, worker: str, claim: Claim, code: str, message: str) -> str:
        """Put a task on the dead list and fail its job: `dead_lettered`."""
        return str(await self.client.run_script("dead_letter", claim.task, worker, claim.token, code, message))

    async def release(self, worker: str, claim: Claim) -> str:
        """Return a task unfinished to its list, as if it had not been claimed: `released`."""
        return str(await self.client.run_script("release", claim.task, worker, claim.token))

    async def quarantine(self, worker: str, task: str) -> bool:
        """Put a held task on the dead list at which a script has raised QueueUnreadable; return False if it is not
        held."""
        return bool(await self.client.run_script("quarantine", worker, task))

    # Workers

    async def heartbeat(self, worker: str, info: WorkerInfo) -> list[str]:
        """Renew the worker's lease and return the tasks that it holds."""
        held: list[str] = await self.client.run_script("heartbeat", worker, json.dumps(asdict(info)))
        return held

    async def held(self, worker: str) -> list[str]:
        held: list[str] = await self.client.command("lrange", KEYS["HELD"] + worker, 0, -1)
        return held

    async def deregister(self, worker: str, stage: Stage) -> None:
        """Remove a worker, and return the tasks that it holds to their list."""
        await self.client.run_script("deregister", worker, stage)

    async def workers(self) -> list[WorkerInfo]:
        """Return the warm workers, whose lease has not run out."""
        alive = await self.client.command("zrangebyscore", KEYS["WORKERS"], await self._now_ms(), "+inf")
        infos = await self.client.command("hmget", KEYS["WORKER_INFO"], alive) if alive else []
        return [WorkerInfo(**json.loads(info)) for info in infos if info]

    async def depths(self) -> dict[Stage, int]:
        """Return how many tasks wait in each stage."""
        return {stage: await self.client.command("llen", KEYS["QUEUE"] + stage) for stage in STAGES}

    # Sweeps, which any process may run at any time

    async def reclaim(self) -> list[str]:
        """Return the tasks that dead workers held to their lists; return these tasks."""
        reclaimed: list[str] = await self.client.run_script("reclaim")
        return reclaimed

    async def promote(self) -> int:
        """Move delayed tasks that are due to their lists; return how many."""
        return int(await self.client.run_script("promote"))

    async def audit(self, older_than_s: float = 60) -> list[str]:
        """Push the tasks of live jobs that are in no place; return these tasks."""
        restored: list[str] = await self.client.run_script("audit", round(older_than_s * 1000), MINUTES_KEPT)
        return restored

    async def _now_ms(self) -> int:
        seconds, microseconds = await self.client.command("time")
        return int(seconds) * 1000 + int(microseconds) // 1000
