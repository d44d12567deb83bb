"""Invariants of the queue, and the check that every job can be brought to its end."""

from collections import Counter
from dataclasses import replace
from typing import ClassVar

from hypothesis.stateful import invariant

from queue_spec.world import WORKERS, World, is_part, job_of, outcome, stage_of
from shared.queue.keys import KEYS
from shared.queue.stages import ENDED, STAGES, task_name


class Invariants(World):
    """Checks the invariants after each rule."""

    rules_applied: ClassVar[int] = 0

    @invariant()
    def every_open_task_is_in_exactly_one_place(self) -> None:
        type(self).rules_applied += 1
        places, statuses = self.places(), self.statuses()
        for job_id, tasks in self.open_tasks().items():
            for task in tasks:
                if statuses[job_id] in ENDED:
                    assert places[task] <= 1, (task, statuses[job_id])
                else:
                    assert places[task] == 1, (task, statuses[job_id])
        for task, count in places.items():
            assert count == 1, f"{task} is in {count} places"

    @invariant()
    def join_is_open_only_when_all_segments_are_done(self) -> None:
        for job_id, tasks in self.open_tasks().items():
            assert task_name("tts", job_id, "join") not in tasks or len(tasks) == 1

    @invariant()
    def parts_belong_to_one_generation(self) -> None:
        for job_id, fields in self.tasks().items():
            parts = self.parts.get(job_id, range(0))
            assert (int(fields.get("first_part", 0)), int(fields.get("next_part", 0))) == (parts.start, parts.stop)
            names = [name.removeprefix("input:") for name in fields if name.startswith(("input:", "part:"))]
            numbers = [int(name.rpartition(":")[2]) for name in names if is_part(name) or name.startswith("part:")]
            assert sorted(numbers) == list(parts), fields

    @invariant()
    def each_restart_is_published(self) -> None:
        statuses = self.statuses()
        for job_id, events in zip(statuses, self.events(statuses), strict=True):
            assert events.count("restarted") == self.restarts[job_id], events

    @invariant()
    def dead_letters_belong_to_failed_jobs(self) -> None:
        statuses = self.statuses()
        assert {statuses.get(job_of(task)) for task in self.redis.lrange(KEYS["DEAD"], 0, -1)} <= {"failed"}

    @invariant()
    def each_job_is_either_live_or_ended(self) -> None:
        live, ended = set(self.redis.zrange(KEYS["LIVE"], 0, -1)), set(self.redis.zrange(KEYS["ENDED"], 0, -1))
        statuses = self.statuses()
        assert live == {job_id for job_id, status in statuses.items() if status not in ENDED}
        assert ended == {job_id for job_id, status in statuses.items() if status in ENDED}

    @invariant()
    def each_job_ends_once(self) -> None:
        statuses = self.statuses()
        for (job_id, status), events in zip(statuses.items(), self.events(statuses), strict=True):
            ends = [event for event in events if event in ENDED]
            assert len(ends) == self.retries[job_id] + (status in ENDED), events
            if status in ENDED:
                assert events[-1] == status, "an ended job has no later event"

    @invariant()
    def each_task_is_committed_once(self) -> None:
        assert all(count == 1 for count in self.committed.values() if count)
        statuses = self.statuses()
        assert {statuses[job_id] for job_id in self.tasks()} <= {"pending", "processing", "failed"}, "no task is left"

    @invariant()
    def counters_match_the_commits(self) -> None:
        counts = self.run(self.admin.counts())
        done = Counter(stage_of(task) for task in self.committed.elements())
        assert {stage: counts.get(f"done:{stage}", 0) for stage in STAGES} == {stage: done[stage] for stage in STAGES}
        assert counts.get("engine_event:tried", 0) == done.total()

    def teardown(self) -> None:
        """Check that live workers bring every live job to its end."""
        try:
            for worker in WORKERS:
                self.run(self.queue.deregister(worker, stage_of(worker)))
                self.enlist(worker)
            self.current.clear()
            self.holders.clear()
            while any([self.pass_time(), *(self.work(f"{stage}-1") for stage in STAGES)]):
                pass
            assert not self.redis.zcard(KEYS["LIVE"]), "jobs are live, and no worker has a task"
            assert set(self.places()) == set(self.redis.lrange(KEYS["DEAD"], 0, -1)), "a task is left over"
        finally:
            self.run(self.queue.close())
            self.runner.close()
            self.redis.close()

    def work(self, worker: str) -> bool:
        """Commit all that waits in the worker's stage, LLM tasks with a step first; return whether there was any."""
        stage = stage_of(worker)
        waiting: int = self.redis.llen(KEYS["QUEUE"] + stage)
        for _ in range(waiting):
            claim = self.run(self.queue.claim(worker, stage, self.unique()))
            if claim:
                self.note_attempt(worker, claim, claim.task)
                result = outcome(claim, 2)
                if stage == "llm":
                    assert self.run(self.queue.commit_partial(worker, claim, result)) == "recorded"
                    self.note_parts(claim.job_id, 2 if result.parts else 0)
                    result = replace(result, steps=1)
                assert self.run(self.queue.commit(worker, claim, result)) == "committed"
                self.note_parts(claim.job_id, len(result.parts[1]) if result.parts else 0)
        return waiting > 0
