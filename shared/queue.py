"""The queue: every verb is one atomic step in Redis.

A task is at every moment in exactly one place: its stage's list, one worker's hands, the delayed set, or the dead list.
It leaves a place only in the step that records what it did and adds what comes next. The steps are the scripts in
`lua/`; each script's header says what it defends against.
"""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from shared.errors import QueueFull, QueueUnavailable, StartupError
from shared.job import STAGES, Job, Stage
from shared.keys import KEYS, LEASE_MS, MAX_CRASHES, PREAMBLE
from shared.task import Claim, NewTask, Outcome, WorkerInfo

#: How long one BLMOVE waits. Short, so that a worker that is told to stop is out of it soon.
BLOCK_S = 1.0

#: A peer that has gone without a word (an unplugged machine, a firewall) is noticed by the kernel within about this.
#: A socket timeout of the client's would do the same, at 40 % of the cost of each command.
UNREACHABLE_AFTER_S = 10


def _keepalive() -> dict[int, int]:
    """Socket options by their numbers here: not every system has each."""
    wanted = {
        "TCP_KEEPIDLE": UNREACHABLE_AFTER_S // 2,
        "TCP_KEEPINTVL": 1,
        "TCP_KEEPCNT": UNREACHABLE_AFTER_S // 2,
        "TCP_USER_TIMEOUT": UNREACHABLE_AFTER_S * 1000,
    }
    return {getattr(socket, name): value for name, value in wanted.items() if hasattr(socket, name)}


class Queue:
    """All that anybody may do to jobs and tasks.

    Every method raises QueueUnavailable when Redis does not answer. Each but `claim` and `commit_and_claim` may then be
    called again with the same arguments: the scripts know a repeated call.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis: Any = redis  # its own annotations describe bytes, pipelines and the synchronous client at once
        self._scripts = {path.stem: redis.register_script(_source(path)) for path in _LUA.glob("*.lua")}

    @classmethod
    def connect(cls, url: str, *, patience_s: float | None = None) -> Self:
        """A queue at `url`. Nothing is sent before the first call.

        `patience_s` bounds each call to a Redis that is there but stands still; a worker, which has nothing else to do,
        waits for it.

        Raises:
            StartupError: `url` is not a Redis URL.
        """
        try:
            redis = Redis.from_url(
                url,
                decode_responses=True,
                encoding_errors="surrogateescape",  # whatever bytes somebody pushes, they must come back out
                socket_timeout=patience_s,
                socket_keepalive=True,
                socket_keepalive_options=_keepalive(),
                socket_connect_timeout=5.0,
                # The client must not repeat a command by itself: one that Redis has already obeyed would count twice.
                retry=Retry(NoBackoff(), 0),
            )
        except ValueError:
            raise StartupError(
                "REDIS_URL is not a Redis address. Set it to one like redis://127.0.0.1:6379/0."
            ) from None
        return cls(redis)

    async def close(self) -> None:
        await self._redis.aclose()

    async def ping(self) -> None:
        await self._ask(self._redis.ping)

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
    ) -> str:
        """Accept a job; the id of the job that now stands for this call, which is an earlier one if it is repeated.

        Raises:
            QueueFull: `max_live` jobs have not ended yet.
        """
        payload = json.dumps({"job_id": job_id} | fields), json.dumps(tasks)
        reply = await self._run("submit", job_id, *payload, max_live, idempotency_key, remember_ms)
        if reply[0] == "full":
            raise QueueFull
        return str(reply[1]) if reply[0] == "exists" else job_id

    async def fields(self, job_id: str) -> dict[str, str]:
        """The whole job-status hash; empty for an unknown job."""
        fields: dict[str, str] = await self._ask(self._redis.hgetall, KEYS["JOB"] + job_id)
        return fields

    async def job(self, job_id: str) -> Job | None:
        fields = await self.fields(job_id)
        return Job.from_hash(fields) if fields else None

    async def cancel(self, job_id: str) -> str:
        """End a live job and erase its text: `cancelled`; or `over` or `gone`, if there was nothing to end."""
        return str(await self._run("cancel", job_id))

    async def forget(self, job_id: str) -> bool:
        """Erase an ended job; False if it is live or gone."""
        return bool(await self._run("forget", job_id))

    async def ended_before(self, age_ms: int, limit: int = 500) -> list[str]:
        """Jobs that ended more than `age_ms` ago, oldest first."""
        before = await self._now_ms() - age_ms
        ended: list[str] = await self._ask(self._redis.zrangebyscore, KEYS["ENDED"], "-inf", before, 0, limit)
        return ended

    async def events(self, job_id: str) -> list[dict[str, Any]]:
        """What happened to a job, oldest first: `id`, `event`, and the event's own data."""
        entries = await self._ask(self._redis.xrange, KEYS["EVENTS"] + job_id)
        return [{"id": key, "event": entry["event"]} | json.loads(entry["data"]) for key, entry in entries]

    async def changes(self) -> AsyncIterator[str]:
        """Ids of jobs, each as something happens to it. Ends only by QueueUnavailable."""
        async with self._redis.pubsub() as channel:
            with _answering():
                await channel.subscribe(KEYS["CHANNEL"])
            yield ""  # subscribed: whoever looked before this moment should look again
            while True:
                with _answering():
                    message = await channel.get_message(ignore_subscribe_messages=True, timeout=BLOCK_S)
                if message:
                    yield str(message["data"]).partition(" ")[0]

    # Tasks

    async def claim(self, worker: str, stage: Stage, token: str) -> Claim | None:
        """Move the stage's next task into the worker's hands, waiting a second for one, and start an attempt at it.

        None if none came, or what came needs no work. Never repeat this blindly: after an error, look at `held` first,
        since a task may have come although the reply did not.
        """
        begin, arguments = self._scripts["begin"], (worker, token, MAX_CRASHES, stage)
        with _answering():
            # One round trip: Redis reads the second command when the first has ended.
            pipe = self._redis.pipeline(transaction=False)
            pipe.blmove(KEYS["QUEUE"] + stage, KEYS["HELD"] + worker, BLOCK_S, "RIGHT", "LEFT")
            pipe.evalsha(begin.sha, 0, *arguments)
            try:
                _, reply = await pipe.execute()
            except exceptions.NoScriptError:
                reply = await begin(args=arguments)
        return Claim.read(reply, token)

    async def begin(self, worker: str, stage: Stage, token: str, task: str) -> Claim | None:
        """Start an attempt at a task in the worker's hands; None if it needs no work."""
        return Claim.read(await self._run("begin", worker, token, MAX_CRASHES, stage, task), token)

    # The ways out of a worker's hands. Each answers with what it did (`committed`, `delayed`, `buried`, `released`),
    # `over` if the job has ended meanwhile, or `stale` if the task is not, or no longer, this attempt's.

    async def commit(self, worker: str, claim: Claim, outcome: Outcome) -> str:
        return str((await self._run("commit", claim.task, worker, claim.token, outcome.as_json()))[0])

    async def commit_and_claim(
        self, worker: str, claim: Claim, outcome: Outcome, token: str
    ) -> tuple[str, Claim | None]:
        """`commit`, and in the same step start an attempt at the stage's next task, if one waits. Never repeat this:
        after an error, `commit`, and look at `held`."""
        arguments = claim.task, worker, claim.token, outcome.as_json(), token, MAX_CRASHES
        with _answering():
            verdict, reply = await self._scripts["commit"](args=arguments)
        return str(verdict), Claim.read(reply, token)

    async def retry(self, worker: str, claim: Claim, delay_s: float, code: str, *, crashed: bool) -> str:
        delay_ms = round(delay_s * 1000)
        return str(await self._run("retry", claim.task, worker, claim.token, delay_ms, code, int(crashed)))

    async def bury(self, worker: str, claim: Claim, code: str, message: str) -> str:
        return str(await self._run("bury", claim.task, worker, claim.token, code, message))

    async def release(self, worker: str, claim: Claim) -> str:
        return str(await self._run("release", claim.task, worker, claim.token))

    # Workers

    async def beat(self, worker: str, info: WorkerInfo) -> list[str]:
        """Say that the worker lives; the tasks in its hands."""
        held: list[str] = await self._run("beat", worker, json.dumps(asdict(info)), LEASE_MS)
        return held

    async def held(self, worker: str) -> list[str]:
        held: list[str] = await self._ask(self._redis.lrange, KEYS["HELD"] + worker, 0, -1)
        return held

    async def retire(self, worker: str, stage: Stage) -> None:
        await self._run("retire", worker, stage)

    async def workers(self) -> list[WorkerInfo]:
        """Those that are warm and beat."""
        alive = await self._ask(self._redis.zrangebyscore, KEYS["WORKERS"], await self._now_ms(), "+inf")
        infos = await self._ask(self._redis.hmget, KEYS["WORKER_INFO"], alive) if alive else []
        return [WorkerInfo(**json.loads(info)) for info in infos if info]

    async def depths(self) -> dict[Stage, int]:
        """How many tasks wait in each stage."""
        return {stage: await self._ask(self._redis.llen, KEYS["QUEUE"] + stage) for stage in STAGES}

    # Sweeps, which any process may run at any time

    async def reclaim(self) -> list[str]:
        """Take back what dead workers held; those tasks."""
        reclaimed: list[str] = await self._run("reclaim", LEASE_MS)
        return reclaimed

    async def promote(self) -> int:
        """Put delayed tasks that are due back on their lists; how many."""
        return int(await self._run("promote"))

    async def audit(self, older_than_s: float = 60) -> list[str]:
        """Put back tasks of live jobs that are in no place; those tasks."""
        restored: list[str] = await self._run("audit", round(older_than_s * 1000))
        return restored

    async def _now_ms(self) -> int:
        seconds, microseconds = await self._ask(self._redis.time)
        return int(seconds) * 1000 + int(microseconds) // 1000

    async def _run(self, script: str, *args: str | int) -> Any:
        return await self._ask(self._scripts[script], args=args)

    async def _ask(self, command: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        """Send a command that may be repeated. A connection that broke while it lay idle fails the next command on it;
        a second try tells that from a Redis that is away."""
        with _answering():
            try:
                return await command(*args, **kwargs)
            except exceptions.ConnectionError:
                return await command(*args, **kwargs)


_LUA = Path(__file__).parent / "lua"


def _source(path: Path) -> str:
    common = (_LUA / "common.lua").read_text()
    return PREAMBLE + common + path.read_text()


#: Answers that mean "not now" or "not you": what is asked is right, and may be asked again. Of an error in a script
#: Redis 6 quotes the answer in the middle.
_REFUSAL = re.compile(r"(^|-)(DENIED|LOADING|MASTERDOWN|MISCONF|NOAUTH|NOPERM|NOREPLICAS|OOM|READONLY|WRONGPASS) ")

#: redis-py cuts the first word off for these.
_REFUSED = (exceptions.OutOfMemoryError, exceptions.ReadOnlyError, exceptions.NoPermissionError)


@contextmanager
def _answering() -> Iterator[None]:
    """Tell 'Redis does not serve us' from every other error. It may be away, loading, full, or not the master.

    Before Python 3.12 a cancellation that arrives just as redis-py has sent a command gets lost in `asyncio.wait_for`;
    here it is raised after all.
    """
    task = asyncio.current_task()
    cancellations = task.cancelling() if task else 0
    try:
        yield
        if task and task.cancelling() > cancellations:
            raise asyncio.CancelledError
    except (exceptions.ConnectionError, exceptions.TimeoutError) as error:
        raise QueueUnavailable from error
    except exceptions.ResponseError as error:
        if isinstance(error, _REFUSED) or _REFUSAL.search(str(error)):
            raise QueueUnavailable from error
        raise
