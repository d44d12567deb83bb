"""What everybody may do, in any order."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, multiple, precondition, rule

from queue_spec.invariants import Invariants
from queue_spec.world import ENDED, WORKERS, job_of, outcome, pick, stage_of
from shared.queue.keys import KEYS
from shared.queue.messages import Claim
from shared.queue.stages import SPEECH_TO_SPEECH, task_name

#: Few, so that much happens to each.
MOST_LIVE_JOBS = 3

#: Which of several: see `pick`.
PICK = st.integers(0, 5)

#: What a worker may do with a claim beside committing it.
OTHER_THAN_COMMIT = ["extend", "retry", "bury", "release"]


class QueueMachine(Invariants):
    """The machine plays every part. Old claims are kept and used again at any time, as a paused worker would."""

    claims = Bundle("claims")

    @rule(route=st.sampled_from([SPEECH_TO_SPEECH, "stt", "stt,llm", "llm,tts", "tts"]))
    @precondition(lambda self: self.redis.zcard(KEYS["LIVE"]) < MOST_LIVE_JOBS)
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
        spoken=st.integers(0, 2),
        whole=st.booleans(),
        fails=st.sampled_from([False, False, True]),
    )
    @precondition(lambda self: self.redis.zcard(KEYS["LIVE"]) < MOST_LIVE_JOBS)
    def submit_and_answer(self, segments: int, spoken: int, whole: bool, fails: bool) -> Any:
        """A job whose segments wait to be spoken, and of which more may come: what takes several comes up often."""
        job_id = self.make_job(SPEECH_TO_SPEECH)
        self.commit(self.claim_out_of_turn("stt-1", task_name("stt", job_id)), 0, "stt-1", and_claim=False)
        answer = self.claim_out_of_turn("llm-1", task_name("llm", job_id))
        if whole:
            self.commit(answer, segments, "llm-1", and_claim=False)
        else:
            self.extend(answer, segments, also=False)
        spoken = min(segments - 1, spoken)
        for index in range(spoken):
            self.commit(self.claim_out_of_turn("tts-1", task_name("tts", job_id, index)), 0, "tts-1", and_claim=False)
        if fails:
            self.bury(self.claim_out_of_turn("tts-1", task_name("tts", job_id, spoken)))
            if not whole:
                self.extend(answer, 1, also=False)
        return multiple() if whole else answer

    def claim_out_of_turn(self, worker: str, task: str) -> Claim:
        self.redis.lrem(KEYS["QUEUE"] + stage_of(worker), 1, task)
        self.redis.lpush(KEYS["HELD"] + worker, task)
        claim = self.run(self.queue.begin(worker, stage_of(worker), self.unique(), task))
        assert claim is not None
        self.begun(worker, claim, task)
        return claim

    @rule(which=PICK, what=st.sampled_from(["submit_again", "cancel", "forget", "purge"]))
    @precondition(lambda self: self.statuses())
    def ask_of_a_job(self, which: int, what: str) -> None:
        """The latest jobs come first."""
        getattr(self, what)(pick(sorted(self.statuses(), reverse=True), which))

    def submit_again(self, job_id: str) -> None:
        """A reply was lost, and the call is repeated: nothing happens."""
        assert self.run(self._submit(job_id, "stt")) == job_id

    def cancel(self, job_id: str) -> None:
        before = self.status(job_id)
        verdict = self.run(self.queue.cancel(job_id))
        assert verdict == ("gone" if before is None else "over" if before in ENDED else "cancelled")
        if verdict == "cancelled":
            self.revivals[job_id] = self.restarts[job_id] = 0  # events are erased: they tell of the text
            places = self.places()
            running = [task for task in self.in_force if job_of(task) == job_id]
            assert not any(places[task] for task in running), "whoever works on it hears of it by holding it no more"
            self.let_go_of_job(job_id)

    def forget(self, job_id: str) -> None:
        if self.run(self.queue.erase(job_id)):
            self.let_go_of_job(job_id, keep_holder=True)

    @rule(target=claims, which=PICK)
    @precondition(lambda self: self.with_work())
    def claim(self, which: int) -> Any:
        worker = pick(self.with_work(), which)
        head, held = (
            self.redis.lindex(KEYS["QUEUE"] + stage_of(worker), -1),
            self.redis.lindex(KEYS["HELD"] + worker, 0),
        )
        # BLMOVE puts what waits at the head of what is held; only where nothing waits, what is astray is begun.
        return self.begun(worker, self.run(self.queue.claim(worker, stage_of(worker), self.unique())), head or held)

    @rule(which=PICK)
    @precondition(lambda self: self.with_work())
    def claim_and_lose_the_reply(self, which: int) -> None:
        """The task has come into the worker's hands, and the worker does not know."""
        worker = pick(self.with_work(), which)
        self.redis.lmove(KEYS["QUEUE"] + stage_of(worker), KEYS["HELD"] + worker, "RIGHT", "LEFT")

    @rule(target=claims, which=PICK)
    @precondition(lambda self: self.with_astray())
    def take_up_what_is_astray(self, which: int) -> Any:
        worker = pick(self.with_astray(), which)
        task = self.astray(worker)[0]
        claim = self.run(self.queue.begin(worker, stage_of(worker), self.unique(), task))
        return self.begun(worker, claim, task)

    @rule(claim=claims, what=st.sampled_from(["commit", "commit", *OTHER_THAN_COMMIT]), also=st.booleans())
    def come_back(self, claim: Claim, what: str, also: bool) -> None:
        """A worker goes on with any claim that it ever had."""
        if what == "commit":
            self.commit(claim, 2, pick(WORKERS, len(self.committed)), also)
        elif what == "extend":
            if claim.part is None:
                self.extend(claim, 1, also=also)
        elif what == "retry":
            self.retry(claim, due=also, crashed=not also)
        else:
            getattr(self, what)(claim)

    @rule(which=PICK, what=st.sampled_from(["commit", *OTHER_THAN_COMMIT]), also=st.booleans())
    @precondition(lambda self: self.outdated())
    def come_back_to_what_another_does(self, which: int, what: str, also: bool) -> None:
        """Of all old claims the most dangerous: the task is in work again, under a newer one."""
        self.come_back(pick(self.outdated(), which), what, also)

    def commit(self, claim: Claim, segments: int, worker: str, and_claim: bool) -> None:
        holder = self.holder.get(claim.task, worker)
        expected = self.verdict(claim, "committed")
        following, made = None, replace(outcome(claim, segments), steps=self.steps[claim.task], counts={"tried": 1})
        if and_claim and stage_of(holder) == stage_of(claim.task):
            verdict, following = self.run(self.queue.commit_and_claim(holder, claim, made, self.unique()))
        else:
            verdict = self.run(self.queue.commit(holder, claim, made))
        assert verdict == expected
        self.settled(claim, verdict)
        if verdict == "committed":
            self.committed[claim.task] += 1
            self.steps.pop(claim.task, None)
            self.pushed(claim.job_id, len(made.parts[1]) if made.parts else 0)
        if following:
            self.begun(holder, following, following.task)

    @rule(which=PICK, segments=st.integers(1, 4), and_claim=st.booleans())
    @precondition(lambda self: self.in_force)
    def commit_current(self, which: int, segments: int, and_claim: bool) -> None:
        self.commit(pick(self.in_force.values(), which), segments, "nobody", and_claim)

    def extend(self, claim: Claim, segments: int, also: bool) -> None:
        """Record a step, or `also` the one before once more, whose reply was lost."""
        again = also and self.steps[claim.task] > 0
        step = replace(outcome(claim, segments), steps=self.steps[claim.task] - again)
        verdict = self.run(self.queue.commit_partial(self.holder.get(claim.task, "nobody"), claim, step))
        assert verdict == self.verdict(claim, "extended")
        if verdict == "extended" and not again:
            self.steps[claim.task] += 1
            self.pushed(claim.job_id, len(step.parts[1]) if step.parts else 0)

    @rule(which=PICK, segments=st.integers(0, 3), also=st.booleans())
    @precondition(lambda self: self.makers())
    def extend_current(self, which: int, segments: int, also: bool) -> None:
        self.extend(pick(self.makers(), which), segments, also)

    @rule(which=PICK, ahead=st.integers(1, 3))
    @precondition(lambda self: self.makers())
    def miss_a_step(self, which: int, ahead: int) -> None:
        """Redis has lost some with its last second: the attempt can neither go on nor come to its end."""
        claim = pick(self.makers(), which)
        made = replace(outcome(claim, 2), steps=self.steps[claim.task] + ahead)
        lost = self.verdict(claim, "stale")
        assert self.run(self.queue.commit_partial(self.holder[claim.task], claim, made)) == lost
        assert self.run(self.queue.commit(self.holder[claim.task], claim, made)) == "stale"

    def retry(self, claim: Claim, due: bool, crashed: bool) -> None:
        expected, holder = self.verdict(claim, "delayed"), self.holder.get(claim.task, "nobody")
        delay_s = 0 if due else 1e6
        verdict = self.run(self.queue.reschedule(holder, claim, delay_s, "model_unavailable", crashed=crashed))
        assert verdict == expected
        self.settled(claim, verdict)
        self.crashes[claim.task] -= verdict == "delayed" and not crashed
        if verdict == "delayed":
            self.retracted(claim.task)

    @rule(which=PICK)
    @precondition(lambda self: self.in_force)
    def crash_current(self, which: int) -> None:
        """An engine dies of its task."""
        self.retry(pick(self.in_force.values(), which), due=True, crashed=True)
        self.pass_time()

    def bury(self, claim: Claim) -> None:
        expected, holder = self.verdict(claim, "buried"), self.holder.get(claim.task, "nobody")
        verdict = self.run(self.queue.dead_letter(holder, claim, "no_speech", "Nobody speaks."))
        assert verdict == expected
        self.settled(claim, verdict)

    @rule(which=PICK)
    @precondition(lambda self: self.in_force)
    def bury_current(self, which: int) -> None:
        self.bury(pick(self.in_force.values(), which))

    def release(self, claim: Claim) -> None:
        in_force, holder = self.is_in_force(claim), self.holder.get(claim.task, "nobody")
        verdict = self.run(self.queue.release(holder, claim))
        assert verdict == ("released" if in_force else "stale")
        self.settled(claim, verdict)
        self.crashes[claim.task] -= verdict == "released"

    @rule(worker=st.sampled_from(WORKERS), what=st.sampled_from(["die", "retire"]))
    def leave(self, worker: str, what: str) -> None:
        getattr(self, what)(worker)

    def die(self, worker: str) -> None:
        """A worker's heartbeat has run out, and somebody takes its work away; then it comes back."""
        self.redis.set(KEYS["SWEPT_AT"], self.redis.time()[0] * 1000)
        self.redis.zadd(KEYS["WORKERS"], {worker: 1})
        self.run(self.queue.reclaim())
        self.lose_hold(worker)
        self.enlist(worker)

    @rule(which=PICK)
    @precondition(lambda self: self.holder)
    def die_at_work(self, which: int) -> None:
        self.die(pick(self.holder.values(), which))

    def retire(self, worker: str) -> None:
        self.run(self.queue.deregister(worker, stage_of(worker)))
        self.lose_hold(worker)
        self.enlist(worker)

    @rule()
    def pass_time(self) -> None:
        """Everything that was delayed is due."""
        for task in self.redis.zrange(KEYS["DELAYED"], 0, -1):
            self.redis.zadd(KEYS["DELAYED"], {task: 1})
        self.run(self.queue.promote())

    @rule(what=st.sampled_from(["look_for_the_dead", "audit", "forget_the_scripts"]))
    def look_after(self, what: str) -> None:
        getattr(self, what)()

    def look_for_the_dead(self) -> None:
        self.redis.delete(KEYS["SWEPT_AT"])
        assert self.run(self.queue.reclaim()) == [], "after an outage nobody is robbed"

    def audit(self) -> None:
        assert self.run(self.queue.audit(older_than_s=0)) == [], "nothing had lost its place"

    def forget_the_scripts(self) -> None:
        self.redis.script_flush()

    @rule(which=PICK)
    @precondition(lambda self: self.failed())
    def revive(self, which: int) -> None:
        job_id, held = pick(self.failed(), which), self.in_hands()
        verdict = self.run(self.operations.retry_job(job_id, max_live=1000))
        assert verdict == ("retry_input_erased" if job_id in self.purged else "revived")
        if verdict == "revived":
            self.revivals[job_id] += 1
            for task in [task for task in self.steps if job_of(task) == job_id and task not in held]:
                self.retracted(task)
            for task in [task for task in self.crashes if job_of(task) == job_id and task not in self.in_force]:
                del self.crashes[task]

    def purge(self, job_id: str) -> None:
        if self.run(self.operations.purge(job_id)):
            self.purged.add(job_id)
            self.let_go_of_job(job_id, keep_holder=True)
