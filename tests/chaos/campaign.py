"""One run of the campaign, from the empty stack to the findings."""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path

from redis.asyncio import Redis

from chaos import orders
from chaos.checker import Finding, check
from chaos.evidence import Evidence, gather, tasks_in_places
from chaos.faults import Faults, Injected
from chaos.load import Load
from chaos.refusals import Refusal, Refused
from chaos.schedule import make_schedule
from chaos.stack import Stack
from chaos.takeover import Takeover, takeovers
from shared.background import cancel_all

#: After the last fault every job has so long to end: on a busy machine much will have piled up.
_PATIENCE_S = 400.0

#: A task that was handed on in vain needs so long to be dropped.
_SETTLE_S = 20.0


@dataclass(frozen=True)
class Plan:
    """What replays a run."""

    jobs: int
    faults: int
    seed: int
    appendfsync: str = "everysec"
    gap_s: float = 2.4
    """From one fault to the next, on average. Many last longer, so several are under way at once."""

    @property
    def length_s(self) -> float:
        return self.faults * self.gap_s


@dataclass(frozen=True)
class Result:
    """What came of it."""

    plan: Plan
    took_s: float
    injected: list[Injected]
    skipped: dict[str, str]
    """Kinds of faults that cannot be tried here, and why."""
    seen: Evidence
    findings: list[Finding]
    refusals: list[Refusal]
    takeovers: list[Takeover]
    late: int
    """Commits that were refused because they came too late."""
    engines_killed: int


async def run(plan: Plan, base: Path, say: Callable[[str], None]) -> Result:
    """Start the stack, let clients upload while faults strike, wait for the end of every job, look, check."""
    random.seed(plan.seed)
    started = time.monotonic()
    stack = Stack(base, seed=plan.seed, jobs=plan.jobs, appendfsync=plan.appendfsync)
    async with stack:
        skipped = {"fill_disk": stack.disk.why_not} if stack.disk.why_not else {}
        load = Load(stack.services.url)
        refused = Refused(load, stack.services.url, stack.narrow_url, plan.jobs)
        faults = Faults(stack, load)
        dealt = orders.deal(plan.seed, plan.jobs)
        schedule = make_schedule(plan.seed, plan.faults, plan.length_s, skipped)
        for line in [*schedule, *(f"job {number}: {order}" for number, order in sorted(dealt.items()))]:
            say(str(line))
        await _besiege(load, refused, plan, [faults.inject(fault) for fault in schedule])
        await _settle(stack)
        seen = await gather(stack, load, dealt)
        seen.wrong_answers = refused.wrong
        await load.close()
    seen.deaths = [*(f"{death.name} ended with {death.code}" for death in stack.deaths), *stack.leftovers()]
    return Result(
        plan=plan,
        took_s=time.monotonic() - started,
        injected=faults.injected,
        skipped=skipped,
        seen=seen,
        findings=check(seen),
        refusals=refused.refusals,
        takeovers=takeovers(faults.injected, seen),
        late=stack.count_logged("verdict", "stale"),
        engines_killed=stack.engines_killed,
    )


async def _besiege(load: Load, refused: Refused, plan: Plan, strikes: list[Coroutine[None, None, None]]) -> None:
    """Let clients upload, from the first fault to the last, and give their jobs time to end."""
    every_s = plan.length_s / plan.jobs
    refusing = asyncio.create_task(refused.send_until_stopped())
    serving = [asyncio.create_task(load.serve(number, number * every_s)) for number in range(plan.jobs)]
    striking = [asyncio.create_task(strike) for strike in strikes]
    try:
        await asyncio.gather(*striking)
        await asyncio.wait(serving, timeout=_PATIENCE_S, return_when=asyncio.FIRST_EXCEPTION)
        refused.stop()
        await asyncio.wait([refusing], timeout=_PATIENCE_S)
        for task in [refusing, *serving]:
            if task.done():
                task.result()
    finally:
        await cancel_all([refusing, *serving, *striking])


async def _settle(stack: Stack) -> None:
    """Until no task is anywhere but on the dead list; what then still is, is left over."""
    async with Redis.from_url(stack.redis.url, decode_responses=True) as redis:
        for _ in range(round(_SETTLE_S / 0.2)):
            if not set(await tasks_in_places(redis)) - {"dead"}:
                return
            await asyncio.sleep(0.2)
