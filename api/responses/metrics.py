"""What Prometheus is told: how things stand in Redis, and what has been counted there.

Nothing is counted in this process, so every replica tells the same, and a restart sets nothing back.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from shared.queue.admin import Overview
from shared.queue.keys import BOUNDS_MS
from shared.queue.stages import STAGES

#: Counts of tasks and jobs: what they are called in Redis, in front of the labels' values, and here.
_COUNTED = (
    ("accepted", "cascade_jobs_accepted", "Jobs that were accepted.", ()),
    ("ended", "cascade_jobs_ended", "Jobs that have ended; one that was tried again ends once more.", ("status",)),
    ("done", "cascade_tasks_done", "Tasks that were done.", ("stage",)),
    ("retried", "cascade_tasks_retried", "Tasks that failed and were put off.", ("stage",)),
    ("reclaimed", "cascade_tasks_reclaimed", "Tasks that were taken back from dead workers.", ("stage",)),
    ("set_aside", "cascade_tasks_dead_lettered", "Tasks that failed for good.", ("stage", "code")),
    ("reported:stt_strategy", "cascade_stt_strategies", "Recordings, by the way they were recognized.", ("strategy",)),
    (
        "reported:stt_fallback_reason",
        "cascade_stt_fallbacks",
        "Recordings that took the long way after the short one, by why.",
        ("reason",),
    ),
    ("reported", "cascade_engine_events", "Whatever else engines have counted.", ("name",)),
)

#: Times of completed jobs.
_TIMED = (
    ("waited", "cascade_stage_waited_seconds", "From entering a stage's queue to its first claim.", STAGES),
    ("worked", "cascade_stage_worked_seconds", "From a stage's first claim to its last commit.", STAGES),
    ("first_audio", "cascade_first_audio_seconds", "From the upload to the first spoken segment.", ()),
    ("total", "cascade_job_seconds", "From the upload to the end of the job.", ()),
)


class Metrics(Collector):
    """One scrape."""

    def __init__(self, overview: Overview, counts: Mapping[str, int]) -> None:
        """`counts` are named as Redis has them."""
        self._overview, self._counts = overview, dict(counts)

    def collect(self) -> Iterator[Metric]:
        yield from self._standing()
        for name, told, help_text, labels in _COUNTED:
            yield self._counter(name, told, help_text, labels)
        for name, told, help_text, stages in _TIMED:
            yield self._histogram(name, told, help_text, stages)

    def _standing(self) -> Iterator[Metric]:
        """What is so now."""
        overview = self._overview
        yield GaugeMetricFamily("cascade_jobs_live", "Jobs that have not ended.", overview.live)
        yield GaugeMetricFamily("cascade_tasks_delayed", "Tasks that wait to be tried again.", overview.delayed)
        yield GaugeMetricFamily("cascade_tasks_dead", "Tasks that were set aside and not dropped.", overview.dead)
        waiting = GaugeMetricFamily("cascade_queue_depth", "Tasks that wait for a worker.", labels=["stage"])
        oldest = GaugeMetricFamily("cascade_queue_oldest_seconds", "For how long the next one waits.", labels=["stage"])
        working = GaugeMetricFamily("cascade_tasks_active", "Tasks that workers are at.", labels=["stage"])
        for stage, state in overview.stages.items():
            waiting.add_metric([stage], state.waiting)
            oldest.add_metric([stage], state.oldest_s or 0)
            working.add_metric([stage], state.working)
        yield from (waiting, oldest, working, self._workers())

    def _workers(self) -> Metric:
        """A stage without any is told as well: that is what an alarm looks for."""
        family = GaugeMetricFamily("cascade_workers", "Warm workers that beat.", labels=["stage", "engine", "model"])
        living = Counter((each.stage, _text(each.engine), _text(each.model)) for each in self._overview.workers)
        deserted = {(stage, "", ""): 0 for stage, state in self._overview.stages.items() if not state.workers}
        for labels, number in sorted((deserted | living).items()):
            family.add_metric(labels, number)
        return family

    def _counter(self, name: str, told: str, help_text: str, labels: tuple[str, ...]) -> Metric:
        """`ended:completed` is told with the label `completed`. Each is told once, by the first that knows it."""
        family = CounterMetricFamily(told, help_text, labels=labels)
        for field in sorted(self._counts):
            values = field.removeprefix(name).split(":", len(labels))[1:]
            if field == ":".join([name, *values]) and len(values) == len(labels):
                family.add_metric([_text(value) for value in values], self._counts.pop(field))
        return family

    def _histogram(self, name: str, told: str, help_text: str, stages: tuple[str, ...]) -> Metric:
        """Redis counts each time in one bucket, Prometheus in all that are as wide."""
        family = HistogramMetricFamily(told, help_text, labels=["stage"] if stages else [])
        bounds = [(f"{bound / 1000:g}", str(bound)) for bound in BOUNDS_MS] + [("+Inf", "more")]
        for stage in stages or ("",):
            field = f"{name}:{stage}" if stage else name
            counted = accumulate(self._counts.get(f"{field}:{bound}", 0) for _, bound in bounds)
            buckets = [(bound, float(number)) for (bound, _), number in zip(bounds, counted, strict=True)]
            family.add_metric([stage] if stage else [], buckets, self._counts.get(f"{field}:sum", 0) / 1000)
        return family


def _text(value: str) -> str:
    """Somebody else may have written any bytes: they are shown, escaped, and not at any length."""
    return value.encode(errors="backslashreplace").decode()[:100]
