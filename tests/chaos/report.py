"""The figures of a run in one table, and its findings."""

from collections import Counter
from collections.abc import Iterator
from statistics import median

from rich import box
from rich.console import Console
from rich.table import Table

from chaos.campaign import Result
from chaos.check_run import KINDS, is_dead_lettered_by_kills
from chaos.refusals import Refusal
from shared.queue.stages import STAGES

_MAX_FINDINGS = 30

#: The API takes so long to start.
_RECOVERY_S = 5.0


def print_report(result: Result, console: Console) -> None:
    plan = result.plan
    table = Table(title=f"jobs={plan.jobs} faults={plan.faults} seed={plan.seed} appendfsync={plan.appendfsync}")
    table.box = box.SIMPLE_HEAD
    table.add_column("figure", no_wrap=True)
    table.add_column("", justify="right")
    for name, value in [*_job_rows(result), *_fault_rows(result), *_time_rows(result)]:
        table.add_row(name, value)
    console.print(table)
    for finding in result.findings[:_MAX_FINDINGS]:
        console.print(f"[red]{finding.kind}[/]: {finding.subject}: {finding.detail}", highlight=False)
    if len(result.findings) > _MAX_FINDINGS:
        console.print(f"… and {len(result.findings) - _MAX_FINDINGS} more.")


def _job_rows(result: Result) -> Iterator[tuple[str, str]]:
    """The ends of the jobs, and the counts of findings, which must be zero."""
    observed = result.observed
    killed = [upload for upload in observed.accepted if is_dead_lettered_by_kills(observed, upload)]
    codes = [observed.error_code(upload) for upload in observed.accepted if upload not in killed]
    yield "jobs accepted", str(len(observed.accepted))
    yield "  completed", str(sum(status["status"] == "completed" for status in observed.statuses.values()))
    yield "  failed, because their engine misbehaved permanently", _counts(Counter(code for code in codes if code))
    yield "  dead-lettered after repeated kills of their workers", str(len(killed))
    counts = Counter(finding.kind for finding in result.findings)
    for kind, description in KINDS.items():
        yield f"{kind}: {description}", str(counts[kind])


def _fault_rows(result: Result) -> Iterator[tuple[str, str]]:
    """The injected faults, and their effects on jobs."""
    observed = result.observed
    yield "faults injected", str(len(result.injected))
    for kind, count in sorted(Counter(injected.fault.kind for injected in result.injected).items()):
        yield f"  {kind}", str(count)
    for kind, reason in result.skipped.items():
        yield f"  {kind}", f"skipped: {reason}"
    numbers = [upload.number for upload in observed.accepted]
    misbehaviors = [observed.misbehaviors[number] for number in numbers if number in observed.misbehaviors]
    yield "jobs that met a misbehaving engine", str(len(misbehaviors))
    for stage in STAGES:
        yield f"  {stage}", _counts(Counter(each.label for each in misbehaviors if each.stage == stage))
    events = [event for job_events in observed.events.values() for event in job_events]
    yield "attempts rescheduled", _counts(Counter(event["code"] for event in events if event["event"] == "retrying"))
    yield "uploads repeated", _counts(Counter(code for upload in observed.accepted for code in upload.refusals))
    yield "answers restarted", str(sum(event["event"] == "restarted" for event in events))
    responses = [response for upload in observed.accepted for response in upload.audio_responses]
    completeness = Counter("complete" if response.is_complete else "cut off" for response in responses)
    yield "answers received while they were made", _counts(completeness)
    yield "late commits rejected", str(result.late_commits)
    yield "engines killed for their memory", str(result.engines_killed)


def _time_rows(result: Result) -> Iterator[tuple[str, str]]:
    undisturbed = [takeover.took_s for takeover in result.takeovers if not takeover.is_disturbed]
    yield "kill -9 until the task runs elsewhere: median, worst", _spread(undisturbed)
    takeovers = [takeover.took_s for takeover in result.takeovers]
    yield "  including those with Redis or the other worker down too", _spread(takeovers)
    undisturbed = [refusal.took_s for refusal in result.refusals if not _is_disturbed(refusal, result)]
    yield "uploads rightly refused: median, slowest", _spread(undisturbed)
    refusals = [refusal.took_s for refusal in result.refusals]
    yield "  including those with Redis or the API down", _spread(refusals)
    yield "the whole run", f"{result.duration_s:.0f} s"


def _is_disturbed(refusal: Refusal, result: Result) -> bool:
    """Return whether Redis or the API was down during the upload or just before it."""
    outages = (injected for injected in result.injected if injected.fault.target in ("redis", "api"))
    return any(
        outage.started_at < refusal.sent_at + refusal.took_s and refusal.sent_at < outage.ended_at + _RECOVERY_S
        for outage in outages
    )


def _spread(seconds: list[float]) -> str:
    return f"{median(seconds):.2f} s, {max(seconds):.2f} s of {len(seconds)}" if seconds else "none"


def _counts(counts: Counter[str]) -> str:
    return f"{counts.total()}  " + ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
