"""What always holds, whatever has happened."""

from typing import ClassVar

from hypothesis.stateful import invariant

from queue_model.world import ENDED, WORKERS, World, job_of, open_tasks, outcome, stage_of
from shared.job import STAGES, task_name
from shared.keys import KEYS


class Invariants(World):
    """Looked at after each step."""

    steps: ClassVar[int] = 0

    @invariant()
    def every_open_task_is_in_exactly_one_place(self) -> None:
        type(self).steps += 1
        places = self.places()
        for job_id, status in self.statuses().items():
            for task in open_tasks(self.redis, job_id):
                if status in ENDED:
                    assert places[task] <= 1, (task, status)
                else:
                    assert places[task] == 1, (task, status)
        for task, count in places.items():
            assert count == 1, f"{task} is in {count} places"

    @invariant()
    def segments_are_joined_when_all_are_spoken(self) -> None:
        for job_id in self.statuses():
            tasks = open_tasks(self.redis, job_id)
            assert task_name("tts", job_id, "join") not in tasks or len(tasks) == 1

    @invariant()
    def the_dead_list_holds_what_failed(self) -> None:
        statuses = self.statuses()
        assert {statuses.get(job_of(task)) for task in self.redis.lrange(KEYS["DEAD"], 0, -1)} <= {"failed"}

    @invariant()
    def a_job_is_live_or_has_ended(self) -> None:
        live, ended = set(self.redis.zrange(KEYS["LIVE"], 0, -1)), set(self.redis.zrange(KEYS["ENDED"], 0, -1))
        statuses = self.statuses()
        assert live == {job_id for job_id, status in statuses.items() if status not in ENDED}
        assert ended == {job_id for job_id, status in statuses.items() if status in ENDED}

    @invariant()
    def a_job_ends_once(self) -> None:
        statuses = self.statuses()
        for (job_id, status), events in zip(statuses.items(), self.events(statuses), strict=True):
            ends = [event for event in events if event in ENDED]
            assert len(ends) == self.revivals[job_id] + (status in ENDED), events
            if status in ENDED:
                assert events[-1] == status, "nothing happens to a job that has ended"

    @invariant()
    def what_is_done_is_done_once(self) -> None:
        assert all(count == 1 for count in self.committed.values() if count)
        for job_id, status in self.statuses().items():
            if status == "completed":
                assert open_tasks(self.redis, job_id) == []

    def teardown(self) -> None:
        """Whatever has happened: with workers that live, every job that has not ended comes to its end."""
        try:
            for worker in WORKERS:
                self.run(self.queue.retire(worker, stage_of(worker)))
                self.enlist(worker)
            self.in_force.clear()
            self.holder.clear()
            while self.redis.zcard(KEYS["LIVE"]):
                self.pass_time()
                worked = [self.work(f"{stage}-1") for stage in STAGES]
                assert any(worked), "nobody can do anything, and yet there are live jobs"
        finally:
            self.run(self.queue.close())
            self.runner.close()
            self.redis.close()

    def work(self, worker: str) -> bool:
        """Do all that waits in the worker's stage; whether there was anything."""
        stage = stage_of(worker)
        waiting: int = self.redis.llen(KEYS["QUEUE"] + stage)
        for _ in range(waiting):
            claim = self.run(self.queue.claim(worker, stage, self.unique()))
            if claim:
                assert self.run(self.queue.commit(worker, claim, outcome(claim, 2))) == "committed"
        return waiting > 0
