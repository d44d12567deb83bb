"""The queue: every verb is one atomic step in Redis.

A task is at every moment in exactly one place: its stage's list, one worker's hands, the delayed set, or the dead list.
It leaves a place only in the step that records what it did and adds what comes next. The steps are the scripts in
`lua/`; each script's header says what it defends against.
"""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from typing import Any, Self

from pydantic import SecretStr
from redis import exceptions
from redis.asyncio import Redis

from shared.errors import QueueFull, QueueUnreadable
from shared.queue.events import PositionEvent
from shared.queue.job import Job
from shared.queue.keys import KEYS
from shared.queue.messages import Claim, NewTask, Outcome, QueueStats, WorkerInfo
from shared.queue.redis_client import Connection, redis_client, translate_redis_errors
from shared.queue.stages import STAGES, Stage

#: How long one BLMOVE waits. Short, so that a worker that is told to stop is out of it soon.
BLOCK_S = 1.0

#: What the rate at which jobs end is measured over.
RATE_WINDOW_MS = 60_000

#: For so long the counts of done work are kept.
MINUTES_KEPT = 60

#: Past this share of its `maxmemory` Redis takes no new jobs: what is left is for those that have been accepted.
MEMORY_SHARE = 0.8


class Queue:
    """All that anybody may do to jobs and tasks.

    Every method raises QueueUnavailable when Redis does not answer; each but those that claim may then be called again
    with the same arguments, since the scripts know a repeated call. Every method raises QueueUnreadable when Redis
    holds what the queue has not written.
    """

    def __init__(self, redis: Redis) -> None:
        self.redis = Connection(redis)

    @classmethod
    def connect(cls, url: str, *, password: SecretStr | None = None, patience_s: float | None = None) -> Self:
        """A queue at `url`. Nothing is sent before the first call.

        `password` is for a `url` that carries none. `patience_s` bounds each call to a Redis that is there but stands
        still; a worker, which has nothing else to do, waits for it.

        Raises:
            StartupError: `url` is not a Redis URL.
        """
        return cls(redis_client(url, password, patience_s))

    async def close(self) -> None:
        await self.redis.close()

    async def ping(self) -> None:
        await self.redis.ask("ping")

    # Jobs

    async def submit(
        self,
        job_id: str,
        fields: dict[str, str],
        tasks: Sequence[NewTask],
        *,
        max_live: int,
        idempotency_key: str = "",
        remember_ms: int = 86_400_000,
        conversation_id: str = "",
        conversation_ttl_ms: int = 86_400_000,
    ) -> str:
        """Accept a job; the id of the job that now stands for this call, which is an earlier one if it is repeated.

        With a `conversation_id` it becomes the next turn of that conversation, which is kept for so long from now on.

        Raises:
            QueueFull: `max_live` jobs have not ended yet.
        """
        payload = json.dumps({"job_id": job_id} | fields), json.dumps(tasks)
        remembered = idempotency_key, remember_ms, conversation_id, conversation_ttl_ms
        reply = await self.redis.run("submit", job_id, *payload, max_live, *remembered)
        if reply[0] == "full":
            raise QueueFull
        return str(reply[1]) if reply[0] == "exists" else job_id

    async def has_key(self, idempotency_key: str) -> bool:
        """Whether a repeated `submit` with this key would return an earlier job, if that has not been erased since."""
        return bool(await self.redis.ask("exists", KEYS["IDEMPOTENCY"] + idempotency_key))

    async def fields(self, job_id: str) -> dict[str, str]:
        """The whole job-status hash; empty for an unknown job."""
        fields: dict[str, str] = await self.redis.ask("hgetall", KEYS["JOB"] + job_id)
        return fields

    async def job(self, job_id: str) -> Job | None:
        fields = await self.fields(job_id)
        try:
            return Job.from_hash(fields) if fields else None
        except (LookupError, ValueError, OverflowError) as error:  # somebody else has written into it
            raise QueueUnreadable from error

    async def cancel(self, job_id: str) -> str:
        """End a live job and erase its text: `cancelled`; or `over` or `gone`, if there was nothing to end."""
        return str(await self.redis.run("cancel", job_id))

    async def erase(self, job_id: str, *, with_turn: bool = False) -> bool:
        """Erase an ended job, and its turn of a conversation or not; False if it is live or gone."""
        return bool(await self.redis.run("erase", job_id, int(with_turn)))

    async def ended_before(self, age_ms: int, limit: int = 500) -> list[str]:
        """Jobs that ended more than `age_ms` ago, oldest first."""
        before = await self._now_ms() - age_ms
        ended: list[str] = await self.redis.ask("zrangebyscore", KEYS["ENDED"], "-inf", before, 0, limit)
        return ended

    async def cancelled_within(self, age_ms: int) -> list[str]:
        """Jobs that were cancelled within the last `age_ms`."""
        cancelled: list[str] = await self.redis.run("cancelled", age_ms)
        return cancelled

    async def events(self, job_id: str, after: str = "") -> list[dict[str, Any]]:
        """What happened to a job, oldest first: `id`, `event`, and the event's own data. `after` is the id of one, of
        which only what came later is wanted."""
        entries = await self.redis.ask("xrange", KEYS["EVENTS"] + job_id, f"({after}" if after else "-")
        try:
            return [{"id": key, "event": entry["event"]} | dict(json.loads(entry["data"])) for key, entry in entries]
        except (LookupError, ValueError, TypeError) as error:  # somebody else has written into it
            raise QueueUnreadable from error

    async def position(self, job_id: str) -> PositionEvent | None:
        """Return a job's place in its stage's list, or None if the job does not wait."""
        reply = await self.redis.run("position", job_id)
        if not reply:
            return None
        stage, ahead, done, done_in_ms = reply
        wait_s = round((ahead + 1) * done_in_ms / 1000 / done, 1) if done else None
        return PositionEvent(stage, ahead, wait_s)

    async def changes(self) -> AsyncIterator[str]:
        """Ids of jobs, each as something happens to it. Ends only by QueueUnavailable."""
        async with self.redis.client.pubsub() as channel:
            with translate_redis_errors():
                await channel.subscribe(KEYS["CHANNEL"])
            yield ""  # subscribed: whoever looked before this moment should look again
            while True:
                with translate_redis_errors():
                    message = await channel.get_message(ignore_subscribe_messages=True, timeout=BLOCK_S)
                if message:
                    yield str(message["data"]).partition(" ")[0]

    async def stats(self) -> QueueStats:
        """How busy the system is."""
        live, ended, used, allowed = await self.redis.run("stats", RATE_WINDOW_MS)
        full = bool(allowed) and used > MEMORY_SHARE * allowed
        return QueueStats(live=live, ended_per_s=ended * 1000 / RATE_WINDOW_MS, memory_full=full)

    # Tasks

    async def claim(self, worker: str, stage: Stage, token: str) -> Claim | None:
        """Move the stage's next task into the worker's hands, waiting a second for one, and start an attempt at it.

        None if none came, or what came needs no work. Never repeat this blindly: after an error, look at `held` first,
        since a task may have come although the reply did not.
        """
        with translate_redis_errors():
            # One round trip: Redis reads the second command when the first has ended.
            move = "BLMOVE", KEYS["QUEUE"] + stage, KEYS["HELD"] + worker, "RIGHT", "LEFT", BLOCK_S
            try:
                _, reply = await self.redis.exchange(move, self.redis.call("begin", worker, token, stage))
            except exceptions.NoScriptError:
                reply = await self.redis.evaluate("begin", worker, token, stage)
        return Claim.read(reply, token)

    async def claim_more(self, worker: str, stage: Stage, tokens: Sequence[str]) -> list[Claim]:
        """Start an attempt with each of `tokens` at one of the stage's next tasks, without waiting for any. As with
        `claim`, never repeat this blindly."""
        with translate_redis_errors():
            replies = await self.redis.exchange(*(self.redis.call("begin", worker, token, stage) for token in tokens))
        claims = (Claim.read(reply, token) for reply, token in zip(replies, tokens, strict=True))
        return [claim for claim in claims if claim]

    async def begin(self, worker: str, stage: Stage, token: str, task: str) -> Claim | None:
        """Start an attempt at a task in the worker's hands; None if it needs no work."""
        return Claim.read(await self.redis.run("begin", worker, token, stage, task), token)

    # The ways out of a worker's hands. Each answers with what it did (`committed`, `delayed`, `buried`, `released`),
    # `over` if the job has ended meanwhile, or `stale` if the task is not, or no longer, this attempt's.

    async def commit(self, worker: str, claim: Claim, outcome: Outcome) -> str:
        return str((await self.redis.run("commit", claim.task, worker, claim.token, outcome.as_json()))[0])

    async def commit_and_claim(
        self, worker: str, claim: Claim, outcome: Outcome, token: str
    ) -> tuple[str, Claim | None]:
        """`commit`, and in the same step start an attempt at the stage's next task, if one waits. Never repeat this:
        after an error, `commit`, and look at `held`."""
        arguments = claim.task, worker, claim.token, outcome.as_json(), token
        with translate_redis_errors():
            verdict, reply = await self.redis.evaluate("commit", *arguments)
        return str(verdict), Claim.read(reply, token)

    async def commit_partial(self, worker: str, claim: Claim, outcome: Outcome) -> str:
        """Record a step of the task, and go on holding it: `extended`, `over` or `stale`."""
        return str(await self.redis.run("commit_partial", claim.task, worker, claim.token, outcome.as_json()))

    async def quarantine(self, worker: str, task: str) -> bool:
        """Set aside a held task at which a script has raised QueueUnreadable; False if it is not held."""
        return bool(await self.redis.run("quarantine", worker, task))

    async def reschedule(
        self, worker: str, claim: Claim, delay_s: float, code: str, *, crashed: bool, counts_as_attempt: bool = True
    ) -> str:
        how = round(delay_s * 1000), code, int(crashed), int(not counts_as_attempt)
        return str(await self.redis.run("reschedule", claim.task, worker, claim.token, *how))

    async def dead_letter(self, worker: str, claim: Claim, code: str, message: str) -> str:
        return str(await self.redis.run("dead_letter", claim.task, worker, claim.token, code, message))

    async def release(self, worker: str, claim: Claim) -> str:
        return str(await self.redis.run("release", claim.task, worker, claim.token))

    # Workers

    async def heartbeat(self, worker: str, info: WorkerInfo) -> list[str]:
        """Say that the worker lives; the tasks in its hands."""
        held: list[str] = await self.redis.run("heartbeat", worker, json.dumps(asdict(info)))
        return held

    async def held(self, worker: str) -> list[str]:
        held: list[str] = await self.redis.ask("lrange", KEYS["HELD"] + worker, 0, -1)
        return held

    async def deregister(self, worker: str, stage: Stage) -> None:
        await self.redis.run("deregister", worker, stage)

    async def workers(self) -> list[WorkerInfo]:
        """Those that are warm and beat."""
        alive = await self.redis.ask("zrangebyscore", KEYS["WORKERS"], await self._now_ms(), "+inf")
        infos = await self.redis.ask("hmget", KEYS["WORKER_INFO"], alive) if alive else []
        return [WorkerInfo(**json.loads(info)) for info in infos if info]

    async def depths(self) -> dict[Stage, int]:
        """How many tasks wait in each stage."""
        return {stage: await self.redis.ask("llen", KEYS["QUEUE"] + stage) for stage in STAGES}

    # Sweeps, which any process may run at any time

    async def reclaim(self) -> list[str]:
        """Take back what dead workers held; those tasks."""
        reclaimed: list[str] = await self.redis.run("reclaim")
        return reclaimed

    async def promote(self) -> int:
        """Put delayed tasks that are due back on their lists; how many."""
        return int(await self.redis.run("promote"))

    async def audit(self, older_than_s: float = 60) -> list[str]:
        """Put back tasks of live jobs that are in no place; those tasks."""
        restored: list[str] = await self.redis.run("audit", round(older_than_s * 1000), MINUTES_KEPT)
        return restored

    async def _now_ms(self) -> int:
        seconds, microseconds = await self.redis.ask("time")
        return int(seconds) * 1000 + int(microseconds) // 1000
