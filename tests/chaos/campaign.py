"""One run of the campaign, from an empty stack to the findings."""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path

from redis.asyncio import Redis

from chaos.check_run import Finding, check_run
from chaos.faults import FaultInjector, InjectedFault
from chaos.load import LoadGenerator
from chaos.misbehaviors import assign_misbehaviors
from chaos.observations import Observations, collect, tasks_by_place
from chaos.refusals import Refusal, RefusalProbe
from chaos.schedule import make_schedule
from chaos.stack import Stack
from chaos.takeover import Takeover, takeovers
from shared.background import cancel_all

#: From the last fault until every job must have ended: on a busy machine many jobs will have queued up.
_END_TIMEOUT_S = 400.0

#: From the end of the last job until its last tasks must have left the queue.
_DRAIN_TIMEOUT_S = 20.0
_DRAIN_POLL_S = 0.2


@dataclass(frozen=True)
class Plan:
    """The parameters that repeat a run."""

    jobs: int
    faults: int
    seed: int
    appendfsync: str = "everysec"
    gap_s: float = 2.4
    """Mean time between two faults. Many faults last longer, so several are active at once."""

    @property
    def duration_s(self) -> float:
        return self.faults * self.gap_s


@dataclass(frozen=True)
class Result:
    """The outcome of a run."""

    plan: Plan
    duration_s: float
    injected: list[InjectedFault]
    skipped: dict[str, str]
    """The reasons why some kinds of faults cannot be injected on this machine, by kind."""
    observed: Observations
    findings: list[Finding]
    refusals: list[Refusal]
    takeovers: list[Takeover]
    late_commits: int
    """Commits that were rejected because another attempt had taken over."""
    engines_killed: int


async def run_campaign(plan: Plan, base: Path, print_line: Callable[[str], None]) -> Result:
    """Start the stack, upload recordings while faults are injected, wait for the end of every job, and check."""
    random.seed(plan.seed)
    started_at = time.monotonic()
    stack = Stack(base, seed=plan.seed, jobs=plan.jobs, appendfsync=plan.appendfsync)
    async with stack:
        skipped = {"fill_disk": stack.disk.unavailable_reason} if stack.disk.unavailable_reason else {}
        load = LoadGenerator(stack.services.url)
        probe = RefusalProbe(load, stack.services.url, stack.full_queue_url, plan.jobs)
        injector = FaultInjector(stack, load)
        misbehaviors = assign_misbehaviors(plan.seed, plan.jobs)
        schedule = make_schedule(plan.seed, plan.faults, plan.duration_s, skipped)
        for fault in schedule:
            print_line(str(fault))
        for number, misbehavior in sorted(misbehaviors.items()):
            print_line(f"job {number}: {misbehavior}")
        await _run_load_and_faults(load, probe, plan, [injector.inject(fault) for fault in schedule])
        await _wait_until_drained(stack)
        observed = await collect(stack, load, misbehaviors)
        observed.wrong_refusals = probe.wrong
        await load.close()
    exits = [f"{process.name} exited with {process.code}" for process in stack.unexpected_exits]
    observed.process_failures = [*exits, *stack.leftover_processes()]
    return Result(
        plan=plan,
        duration_s=time.monotonic() - started_at,
        injected=injector.injected,
        skipped=skipped,
        observed=observed,
        findings=check_run(observed),
        refusals=probe.refusals,
        takeovers=takeovers(injector.injected, observed),
        late_commits=stack.count_log_lines("verdict", "stale"),
        engines_killed=stack.engines_killed,
    )


async def _run_load_and_faults(
    load: LoadGenerator, probe: RefusalProbe, plan: Plan, faults: list[Coroutine[None, None, None]]
) -> None:
    """Upload recordings from the first fault to the last, and wait for the end of their jobs."""
    interval_s = plan.duration_s / plan.jobs
    probing = asyncio.create_task(probe.run())
    clients = [asyncio.create_task(load.run_client(number, number * interval_s)) for number in range(plan.jobs)]
    injections = [asyncio.create_task(fault) for fault in faults]
    try:
        await asyncio.gather(*injections)
        await asyncio.wait(clients, timeout=_END_TIMEOUT_S, return_when=asyncio.FIRST_EXCEPTION)
        probe.stop()
        await asyncio.wait([probing], timeout=_END_TIMEOUT_S)
        for task in [probing, *clients]:
            if task.done():
                task.result()
    finally:
        await cancel_all([probing, *clients, *injections])


async def _wait_until_drained(stack: Stack) -> None:
    """Wait until only dead letters are left in the queue; the check reports any other task that stays."""
    async with Redis.from_url(stack.redis.url, decode_responses=True) as redis:
        for _ in range(round(_DRAIN_TIMEOUT_S / _DRAIN_POLL_S)):
            if not set(await tasks_by_place(redis)) - {"dead"}:
                return
            await asyncio.sleep(_DRAIN_POLL_S)
