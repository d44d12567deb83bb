"""The figures of a run in one table, and what was found."""

from collections import Counter
from collections.abc import Iterator
from statistics import median

from rich import box
from rich.console import Console
from rich.table import Table

from chaos.campaign import Result
from chaos.checker import PROMISES, code_of, is_set_aside
from chaos.refusals import Refusal
from chaos.stream import STAGES

_FINDINGS_SHOWN = 30

#: The API needs so long to start.
_AFTERMATH_S = 5.0


def print_report(result: Result, console: Console) -> None:
    plan = result.plan
    table = Table(title=f"jobs={plan.jobs} faults={plan.faults} seed={plan.seed} appendfsync={plan.appendfsync}")
    table.box = box.SIMPLE_HEAD
    table.add_column("figure", no_wrap=True)
    table.add_column("", justify="right")
    for name, value in _figures(result):
        table.add_row(name, value)
    console.print(table)
    for finding in result.findings[:_FINDINGS_SHOWN]:
        console.print(f"[red]{finding.promise}[/]: {finding.subject}: {finding.detail}", highlight=False)
    if len(result.findings) > _FINDINGS_SHOWN:
        console.print(f"… and {len(result.findings) - _FINDINGS_SHOWN} more.")


def _figures(result: Result) -> list[tuple[str, str]]:
    return [*_ends(result), *_harm(result), *_times(result)]


def _ends(result: Result) -> Iterator[tuple[str, str]]:
    """How the jobs ended, and the columns that must be zero."""
    seen = result.seen
    aside = [call for call in seen.accepted if is_set_aside(seen, call)]
    failed = Counter(code_of(seen, call) for call in seen.accepted if code_of(seen, call) and call not in aside)
    yield "jobs accepted", str(len(seen.accepted))
    yield "  completed", str(sum(status["status"] == "completed" for status in seen.statuses.values()))
    yield "  failed by order", _listed(failed)
    yield "  set aside: their workers were killed too often", str(len(aside))
    broken = Counter(finding.promise for finding in result.findings)
    for promise, what in PROMISES.items():
        yield f"{promise}: {what}", str(broken[promise])


def _harm(result: Result) -> Iterator[tuple[str, str]]:
    """What was done to the stack."""
    seen = result.seen
    yield "faults injected", str(len(result.injected))
    for kind, count in sorted(Counter(done.fault.kind for done in result.injected).items()):
        yield f"  {kind}", str(count)
    for kind, why in result.skipped.items():
        yield f"  {kind}", f"skipped: {why}"
    met = [seen.orders[call.number] for call in seen.accepted if call.number in seen.orders]
    yield "jobs that met a misbehaving engine", str(len(met))
    for stage in STAGES:
        yield f"  {stage}", _listed(Counter(order.said for order in met if order.stage == stage))
    events = [event for told in seen.events.values() for event in told]
    yield "attempts put off", _listed(Counter(event["code"] for event in events if event["event"] == "retrying"))
    yield "uploads sent again", _listed(Counter(code for call in seen.accepted for code in call.refusals))
    yield "answers that were begun anew", str(sum(event["event"] == "restarted" for event in events))
    ends = Counter("whole" if heard.is_whole else "cut off" for call in seen.accepted for heard in call.heard)
    yield "answers heard while they were made", _listed(ends)
    yield "late commits refused", str(result.late)
    yield "engines killed for their memory", str(result.engines_killed)


def _times(result: Result) -> Iterator[tuple[str, str]]:
    calm = [takeover.took_s for takeover in result.takeovers if not takeover.disturbed]
    yield "kill -9 until the task runs elsewhere: median, worst", _spread(calm)
    every = [takeover.took_s for takeover in result.takeovers]
    yield "  with those where Redis or the other worker was away too", _spread(every)
    calm_refusals = [refusal.took_s for refusal in result.refusals if _calm(refusal, result)]
    yield "uploads refused as they should be: median, slowest", _spread(calm_refusals)
    yield "  with those while Redis or the API was away", _spread([refusal.took_s for refusal in result.refusals])
    yield "the whole run", f"{result.took_s:.0f} s"


def _calm(refusal: Refusal, result: Result) -> bool:
    """Whether neither Redis nor the API was harmed meanwhile, or a moment before."""
    harms = (done for done in result.injected if done.fault.target in ("redis", "api"))
    return not any(
        done.begun < refusal.at + refusal.took_s and refusal.at < done.ended + _AFTERMATH_S for done in harms
    )


def _spread(seconds: list[float]) -> str:
    return f"{median(seconds):.2f} s, {max(seconds):.2f} s of {len(seconds)}" if seconds else "none"


def _listed(counts: Counter[str | None] | Counter[str]) -> str:
    return f"{counts.total()}  " + ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=str))
