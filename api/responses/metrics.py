"""Prometheus metrics: the state of the queues, and the counters, as Redis holds them.

Nothing is counted in this process, so all replicas agree, and a restart resets no counter.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from shared.queue.admin import Overview
from shared.queue.keys import BOUNDS_MS
from shared.queue.stages import STAGES


@dataclass(frozen=True)
class _CounterSpec:
    """A counter, and the fields of Redis that it reads: `field`, then a value for each label, separated by colons."""

    field: str
    name: str
    description: str
    labels: tuple[str, ...] = ()

    def label_values(self, field: str) -> list[str] | None:
        """The labels' values in the name of a field; None if the field is not of this counter."""
        values = field.removeprefix(self.field).split(":", len(self.labels))[1:]
        is_match = field == ":".join([self.field, *values]) and len(values) == len(self.labels)
        return values if is_match else None


_COUNTERS = (
    _CounterSpec("accepted", "cascade_jobs_accepted", "Jobs that were accepted."),
    _CounterSpec("ended", "cascade_jobs_ended", "Jobs that have ended; a retried job ends again.", ("status",)),
    _CounterSpec("done", "cascade_tasks_done", "Tasks that were done.", ("stage",)),
    _CounterSpec("retried", "cascade_tasks_retried", "Tasks that failed and were rescheduled.", ("stage",)),
    _CounterSpec("reclaimed", "cascade_tasks_reclaimed", "Tasks that were reclaimed from dead workers.", ("stage",)),
    _CounterSpec("dead_lettered", "cascade_tasks_dead_lettered", "Tasks that failed for good.", ("stage", "code")),
    _CounterSpec(
        "engine_event:stt_strategy", "cascade_stt_strategies", "Recordings, by recognition strategy.", ("strategy",)
    ),
    _CounterSpec(
        "engine_event:stt_fallback_reason",
        "cascade_stt_fallbacks",
        "Recordings whose short strategy failed, by the reason for the full one.",
        ("reason",),
    ),
    _CounterSpec("engine_event", "cascade_engine_events", "Events that engines count, by name.", ("name",)),
)


@dataclass(frozen=True)
class _HistogramSpec:
    """Times of completed jobs, and the fields of Redis that hold them."""

    field: str
    name: str
    description: str
    stages: tuple[str, ...] = ()


_HISTOGRAMS = (
    _HistogramSpec(
        "waited", "cascade_stage_waited_seconds", "From entering a stage's queue to its first claim.", STAGES
    ),
    _HistogramSpec("worked", "cascade_stage_worked_seconds", "From a stage's first claim to its last commit.", STAGES),
    _HistogramSpec("first_audio", "cascade_first_audio_seconds", "From the upload to the first segment of speech."),
    _HistogramSpec("total", "cascade_job_seconds", "From the upload to the end of the job."),
)


class Metrics(Collector):
    """One scrape."""

    def __init__(self, overview: Overview, counts: Mapping[str, int]) -> None:
        """`counts` are the fields of the counters' hash in Redis."""
        self._overview = overview
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        yield from self._gauges()
        yield from self._counters()
        for spec in _HISTOGRAMS:
            yield self._histogram(spec)

    def _gauges(self) -> Iterator[Metric]:
        """The present state."""
        overview = self._overview
        yield GaugeMetricFamily("cascade_jobs_live", "Jobs that have not ended.", overview.live)
        yield GaugeMetricFamily("cascade_tasks_delayed", "Rescheduled tasks that are not due yet.", overview.delayed)
        yield GaugeMetricFamily("cascade_tasks_dead", "Dead-lettered tasks that were not dropped.", overview.dead)
        waiting = GaugeMetricFamily("cascade_queue_depth", "Tasks that wait for a worker.", labels=["stage"])
        oldest = GaugeMetricFamily("cascade_queue_oldest_seconds", "Waiting time of the next task.", labels=["stage"])
        active = GaugeMetricFamily("cascade_tasks_active", "Tasks that workers hold.", labels=["stage"])
        for stage, state in overview.stages.items():
            waiting.add_metric([stage], state.waiting)
            oldest.add_metric([stage], state.oldest_s or 0)
            active.add_metric([stage], state.working)
        yield from (waiting, oldest, active, self._workers())

    def _workers(self) -> Metric:
        """Workers by stage. A stage without any is exported as 0, for alarms."""
        family = GaugeMetricFamily(
            "cascade_workers", "Warm workers with a current heartbeat.", labels=["stage", "engine", "model"]
        )
        present = Counter(
            (worker.stage, _label(worker.engine), _label(worker.model)) for worker in self._overview.workers
        )
        absent = {(stage, "", ""): 0 for stage, state in self._overview.stages.items() if not state.workers}
        for labels, number in sorted((absent | present).items()):
            family.add_metric(labels, number)
        return family

    def _counters(self) -> Iterator[Metric]:
        """Every counter, with `ended:completed` as the label `completed`. A field that matches two of them, such as
        `engine_event:stt_strategy:full`, belongs to the one with the longer name."""
        families = {spec: CounterMetricFamily(spec.name, spec.description, labels=spec.labels) for spec in _COUNTERS}
        for field, count in sorted(self._counts.items()):
            matches = [(spec, values) for spec in _COUNTERS if (values := spec.label_values(field)) is not None]
            if matches:
                spec, values = max(matches, key=lambda match: len(match[0].field))
                families[spec].add_metric([_label(value) for value in values], count)
        yield from families.values()

    def _histogram(self, spec: _HistogramSpec) -> Metric:
        """The histogram of a time. Redis counts a time in one bucket, Prometheus in every bucket with a bound that is
        not smaller."""
        family = HistogramMetricFamily(spec.name, spec.description, labels=["stage"] if spec.stages else [])
        bounds = [(f"{bound / 1000:g}", str(bound)) for bound in BOUNDS_MS] + [("+Inf", "more")]
        for stage in spec.stages or ("",):
            field = f"{spec.field}:{stage}" if stage else spec.field
            counted = accumulate(self._counts.get(f"{field}:{bound}", 0) for _, bound in bounds)
            buckets = [(bound, float(number)) for (bound, _), number in zip(bounds, counted, strict=True)]
            family.add_metric([stage] if stage else [], buckets, self._counts.get(f"{field}:sum", 0) / 1000)
        return family


def _label(value: str) -> str:
    """A label's value with unprintable bytes escaped, and of limited length: another program may have written it."""
    return value.encode(errors="backslashreplace").decode()[:100]
