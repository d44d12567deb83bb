"""The machine's rules: each applies one verb of the queue, with current or old claims."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, multiple, precondition, rule

from queue_spec.invariants import Invariants
from queue_spec.world import WORKERS, job_of, outcome, pick, stage_of
from shared.queue.keys import KEYS
from shared.queue.messages import Claim
from shared.queue.stages import ENDED, SPEECH_TO_SPEECH, task_name

#: Few, so that many rules meet the same job.
MAX_LIVE_JOBS = 3

#: An index for `pick`.
PICK = st.integers(0, 5)

#: The verbs that a worker may apply to a claim, apart from `commit`.
OTHER_VERBS = ["commit_partial", "reschedule", "dead_letter", "release"]


class QueueMachine(Invariants):
    """Plays callers, workers and operator. Old claims are used again at any time, as by a worker that was paused."""

    claims = Bundle("claims")

    @rule(route=st.sampled_from([SPEECH_TO_SPEECH, "stt", "stt,llm", "llm,tts", "tts"]))
    @precondition(lambda self: self.redis.zcard(KEYS["LIVE"]) < MAX_LIVE_JOBS)
    def submit(self, route: str) -> None:
        self.make_job(route)

    def make_job(self, route: str) -> str:
        job_id = self.unique()
        assert self.run(self._submit(job_id, route)) == job_id
        return job_id

    async def _submit(self, job_id: str, route: str) -> str:
        return await self.queue.submit(
            job_id, {"route": route}, [(task_name(stage_of(route), job_id), "")], max_live=1000
        )

    @rule(
        target=claims,
        segments=st.integers(1, 4),
        done=st.integers(0, 2),
        whole=st.booleans(),
        fails=st.sampled_from([False, False, True]),
    )
    @precondition(lambda self: self.redis.zcard(KEYS["LIVE"]) < MAX_LIVE_JOBS)
    def submit_and_answer(self, segments: int, done: int, whole: bool, fails: bool) -> Any:
        """Submit a job and bring it to its segments at once: single rules would reach that state too rarely."""
        job_id = self.make_job(SPEECH_TO_SPEECH)
        self.commit(self.claim_out_of_turn("stt-1", task_name("stt", job_id)), 0, "stt-1", and_claim=False)
        answer = self.claim_out_of_turn("llm-1", task_name("llm", job_id))
        if whole:
            self.commit(answer, segments, "llm-1", and_claim=False)
        else:
            self.commit_partial(answer, segments, repeats=False)
        done = min(segments - 1, done)
        for index in range(done):
            self.commit(self.claim_out_of_turn("tts-1", task_name("tts", job_id, index)), 0, "tts-1", and_claim=False)
        if fails:
            self.dead_letter(self.claim_out_of_turn("tts-1", task_name("tts", job_id, done)))
            if not whole:
                self.commit_partial(answer, 1, repeats=False)
        return multiple() if whole else answer

    def claim_out_of_turn(self, worker: str, task: str) -> Claim:
        self.redis.lrem(KEYS["QUEUE"] + stage_of(worker), 1, task)
        self.redis.lpush(KEYS["HELD"] + worker, task)
        claim = self.run(self.queue.begin(worker, stage_of(worker), self.unique(), task))
        assert claim is not None
        self.note_attempt(worker, claim, task)
        return claim

    @rule(which=PICK, verb=st.sampled_from(["submit_again", "cancel", "erase", "purge"]))
    @precondition(lambda self: self.statuses())
    def change_job(self, which: int, verb: str) -> None:
        """Apply a verb to a job, preferably a late one."""
        getattr(self, verb)(pick(sorted(self.statuses(), reverse=True), which))

    def submit_again(self, job_id: str) -> None:
        """Repeat a submit, as when its reply was lost: nothing changes."""
        assert self.run(self._submit(job_id, "stt")) == job_id

    def cancel(self, job_id: str) -> None:
        before = self.status(job_id)
        verdict = self.run(self.queue.cancel(job_id))
        assert verdict == ("gone" if before is None else "job_ended" if before in ENDED else "cancelled")
        if verdict == "cancelled":
            self.retries[job_id] = 0
            self.restarts[job_id] = 0  # events are erased, since they contain the text
            places = self.places()
            running = [task for task in self.current if job_of(task) == job_id]
            assert not any(places[task] for task in running), "their workers must not hold them any more"
            self.drop_claims(job_id)

    def erase(self, job_id: str) -> None:
        if self.run(self.queue.erase(job_id)):
            self.drop_claims(job_id, keep_holder=True)

    @rule(target=claims, which=PICK)
    @precondition(lambda self: self.workers_with_tasks())
    def claim(self, which: int) -> Any:
        worker = pick(self.workers_with_tasks(), which)
        head = self.redis.lindex(KEYS["QUEUE"] + stage_of(worker), -1)
        held = self.redis.lindex(KEYS["HELD"] + worker, 0)
        # BLMOVE puts the next task at the head of the held list. Only if none came, a held task without an attempt
        # starts.
        claim = self.run(self.queue.claim(worker, stage_of(worker), self.unique()))
        return self.note_attempt(worker, claim, head or held)

    @rule(which=PICK)
    @precondition(lambda self: self.workers_with_tasks())
    def claim_without_reply(self, which: int) -> None:
        """Move a task to the worker's held list without an attempt, as when its claim's reply was lost."""
        worker = pick(self.workers_with_tasks(), which)
        self.redis.lmove(KEYS["QUEUE"] + stage_of(worker), KEYS["HELD"] + worker, "RIGHT", "LEFT")

    @rule(target=claims, which=PICK)
    @precondition(lambda self: self.workers_with_unclaimed_held())
    def begin_held_task(self, which: int) -> Any:
        worker = pick(self.workers_with_unclaimed_held(), which)
        task = self.unclaimed_held(worker)[0]
        claim = self.run(self.queue.begin(worker, stage_of(worker), self.unique(), task))
        return self.note_attempt(worker, claim, task)

    @rule(claim=claims, verb=st.sampled_from(["commit", "commit", *OTHER_VERBS]), flag=st.booleans())
    def continue_claim(self, claim: Claim, verb: str, flag: bool) -> None:
        """Apply a verb to any claim, current or old; `flag` varies it."""
        if verb == "commit":
            self.commit(claim, 2, pick(WORKERS, len(self.committed)), flag)
        elif verb == "commit_partial":
            if claim.part is None:
                self.commit_partial(claim, 1, repeats=flag)
        elif verb == "reschedule":
            self.reschedule(claim, due=flag, crashed=not flag)
        else:
            getattr(self, verb)(claim)

    @rule(which=PICK, verb=st.sampled_from(["commit", *OTHER_VERBS]), flag=st.booleans())
    @precondition(lambda self: self.superseded())
    def continue_superseded_claim(self, which: int, verb: str, flag: bool) -> None:
        """Apply a verb to an old claim whose task has a newer attempt: the most dangerous kind."""
        self.continue_claim(pick(self.superseded(), which), verb, flag)

    def commit(self, claim: Claim, segments: int, worker: str, and_claim: bool) -> None:
        holder = self.holders.get(claim.task, worker)
        expected = self.expected_verdict(claim, "committed")
        result = replace(outcome(claim, segments), steps=self.steps[claim.task], counts={"tried": 1})
        following = None
        if and_claim and stage_of(holder) == stage_of(claim.task):
            verdict, following = self.run(self.queue.commit_and_claim(holder, claim, result, self.unique()))
        else:
            verdict = self.run(self.queue.commit(holder, claim, result))
        assert verdict == expected
        self.note_end(claim, verdict)
        if verdict == "committed":
            self.committed[claim.task] += 1
            self.steps.pop(claim.task, None)
            self.note_parts(claim.job_id, len(result.parts[1]) if result.parts else 0)
        if following:
            self.note_attempt(holder, following, following.task)

    @rule(which=PICK, segments=st.integers(1, 4), and_claim=st.booleans())
    @precondition(lambda self: self.current)
    def commit_current(self, which: int, segments: int, and_claim: bool) -> None:
        self.commit(pick(self.current.values(), which), segments, "unknown", and_claim)

    def commit_partial(self, claim: Claim, segments: int, repeats: bool) -> None:
        """Record a step, or repeat the one before, as when its reply was lost."""
        is_repeated = repeats and self.steps[claim.task] > 0
        step = replace(outcome(claim, segments), steps=self.steps[claim.task] - is_repeated)
        verdict = self.run(self.queue.commit_partial(self.holders.get(claim.task, "unknown"), claim, step))
        assert verdict == self.expected_verdict(claim, "recorded")
        if verdict == "recorded" and not is_repeated:
            self.steps[claim.task] += 1
            self.note_parts(claim.job_id, len(step.parts[1]) if step.parts else 0)

    @rule(which=PICK, segments=st.integers(0, 3), repeats=st.booleans())
    @precondition(lambda self: self.llm_claims())
    def commit_partial_current(self, which: int, segments: int, repeats: bool) -> None:
        self.commit_partial(pick(self.llm_claims(), which), segments, repeats)

    @rule(which=PICK, ahead=st.integers(1, 3))
    @precondition(lambda self: self.llm_claims())
    def lose_steps(self, which: int, ahead: int) -> None:
        """Count more steps than Redis has, as when it lost its last second: neither a step nor a commit is accepted."""
        claim = pick(self.llm_claims(), which)
        result = replace(outcome(claim, 2), steps=self.steps[claim.task] + ahead)
        lost = self.expected_verdict(claim, "stale")
        assert self.run(self.queue.commit_partial(self.holders[claim.task], claim, result)) == lost
        assert self.run(self.queue.commit(self.holders[claim.task], claim, result)) == "stale"

    def reschedule(self, claim: Claim, due: bool, crashed: bool) -> None:
        expected, holder = self.expected_verdict(claim, "rescheduled"), self.holders.get(claim.task, "unknown")
        delay_s = 0 if due else 1e6
        verdict = self.run(self.queue.reschedule(holder, claim, delay_s, "model_unavailable", crashed=crashed))
        assert verdict == expected
        self.note_end(claim, verdict)
        self.crashes[claim.task] -= verdict == "rescheduled" and not crashed
        if verdict == "rescheduled":
            self.note_discard(claim.task)

    @rule(which=PICK)
    @precondition(lambda self: self.current)
    def crash_current(self, which: int) -> None:
        """Let an engine crash on its task."""
        self.reschedule(pick(self.current.values(), which), due=True, crashed=True)
        self.pass_time()

    def dead_letter(self, claim: Claim) -> None:
        expected, holder = self.expected_verdict(claim, "dead_lettered"), self.holders.get(claim.task, "unknown")
        verdict = self.run(self.queue.dead_letter(holder, claim, "no_speech", "No speech."))
        assert verdict == expected
        self.note_end(claim, verdict)

    @rule(which=PICK)
    @precondition(lambda self: self.current)
    def dead_letter_current(self, which: int) -> None:
        self.dead_letter(pick(self.current.values(), which))

    def release(self, claim: Claim) -> None:
        is_current, holder = self.is_current(claim), self.holders.get(claim.task, "unknown")
        verdict = self.run(self.queue.release(holder, claim))
        assert verdict == ("released" if is_current else "stale")
        self.note_end(claim, verdict)
        self.crashes[claim.task] -= verdict == "released"

    @rule(worker=st.sampled_from(WORKERS), end=st.sampled_from(["die", "deregister"]))
    def stop_worker(self, worker: str, end: str) -> None:
        getattr(self, end)(worker)

    def die(self, worker: str) -> None:
        """Let a worker's lease run out and its tasks be reclaimed; then it comes back."""
        self.redis.set(KEYS["SWEPT_AT"], self.redis.time()[0] * 1000)
        self.redis.zadd(KEYS["WORKERS"], {worker: 1})
        self.run(self.queue.reclaim())
        self.drop_held(worker)
        self.enlist(worker)

    @rule(which=PICK)
    @precondition(lambda self: self.holders)
    def die_while_holding(self, which: int) -> None:
        self.die(pick(self.holders.values(), which))

    def deregister(self, worker: str) -> None:
        self.run(self.queue.deregister(worker, stage_of(worker)))
        self.drop_held(worker)
        self.enlist(worker)

    @rule()
    def pass_time(self) -> None:
        """Make every delayed task due."""
        for task in self.redis.zrange(KEYS["DELAYED"], 0, -1):
            self.redis.zadd(KEYS["DELAYED"], {task: 1})
        self.run(self.queue.promote())

    @rule(sweep=st.sampled_from(["reclaim_after_outage", "audit", "flush_scripts"]))
    def run_sweep(self, sweep: str) -> None:
        getattr(self, sweep)()

    def reclaim_after_outage(self) -> None:
        self.redis.delete(KEYS["SWEPT_AT"])
        assert self.run(self.queue.reclaim()) == [], "no task is reclaimed at once after an outage"

    def audit(self) -> None:
        assert self.run(self.queue.audit(older_than_s=0)) == [], "no task had lost its place"

    def flush_scripts(self) -> None:
        self.redis.script_flush()

    @rule(which=PICK)
    @precondition(lambda self: self.failed())
    def retry_job(self, which: int) -> None:
        job_id = pick(self.failed(), which)
        held = self.held_tasks()
        verdict = self.run(self.admin.retry_job(job_id, max_live=1000))
        assert verdict == ("retry_input_erased" if job_id in self.purged else "retried")
        if verdict == "retried":
            self.retries[job_id] += 1
            for task in [task for task in self.steps if job_of(task) == job_id and task not in held]:
                self.note_discard(task)
            for task in [task for task in self.crashes if job_of(task) == job_id and task not in self.current]:
                del self.crashes[task]

    def purge(self, job_id: str) -> None:
        if self.run(self.admin.purge(job_id)):
            self.purged.add(job_id)
            self.drop_claims(job_id, keep_holder=True)
