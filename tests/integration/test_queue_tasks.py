"""The invariant: a task is in exactly one place, and only its current attempt can commit it."""

import asyncio
import random
from collections import Counter
from uuid import uuid4

import pytest

from shared.queue.keys import KEYS, MAX_CRASHES
from shared.queue.messages import Claim, Outcome
from shared.queue.stages import task_name

pytestmark = pytest.mark.redis


async def test_workers_never_share_a_task(driver, queue):
    """Eight workers that compete for a hundred tasks claim each once."""
    jobs = [await driver.submit() for _ in range(100)]

    async def work(worker: str) -> list[str]:
        await driver.enlist(worker)
        claimed = []
        while claim := await queue.claim(worker, "stt", uuid4().hex):
            claimed.append(claim.job_id)
            await queue.commit(worker, claim, Outcome())
        return claimed

    done = await asyncio.gather(*(work(f"stt-{n}") for n in range(8)))
    assert Counter(job for worker in done for job in worker) == Counter(jobs)
    assert driver.places() == {}


async def test_only_one_of_two_waiting_workers_claims_a_new_task(driver, queue):
    """Of two workers that block on an empty list, one claims the task that is pushed."""
    waiting = [asyncio.create_task(queue.claim(worker, "stt", worker)) for worker in ("stt-1", "stt-2")]
    await asyncio.sleep(0.1)
    job_id = await driver.submit()
    claims = [claim.task for claim in await asyncio.gather(*waiting) if claim]
    assert claims == [f"stt:{job_id}"]


async def test_tasks_are_claimed_in_the_order_of_their_jobs(driver, queue):
    """The job that was submitted first is claimed first."""
    jobs = [await driver.submit() for _ in range(5)]
    assert [(await driver.claim("stt-1")).job_id for _ in jobs] == jobs


async def test_begin_repeated_with_its_token_is_one_attempt(driver, queue):
    """A begin that a worker repeats because its reply was lost counts as one attempt."""
    job_id = await driver.submit()
    await driver.enlist("stt-1")
    task = driver.hold("stt-1")
    claims = [await queue.begin("stt-1", "stt", "same", task) for _ in range(3)]
    assert [claim.attempt for claim in claims] == [1, 1, 1]
    assert (await queue.job(job_id)).attempts == {"stt": 1}
    assert (await queue.begin("stt-1", "stt", "other", task)).attempt == 2


async def test_worker_whose_task_was_reclaimed_cannot_commit(driver, queue):
    """A paused worker that comes back after its task was reclaimed changes nothing."""
    job_id = await driver.submit()
    await queue.reclaim()
    late = await driver.claim("stt-paused")
    driver.expire_lease("stt-paused")
    assert await queue.reclaim() == [f"stt:{job_id}"]
    assert await queue.commit("stt-paused", late, Outcome({"transcript": "late"})) == "stale"
    assert await queue.reschedule("stt-paused", late, 0, "x", crashed=False) == "stale"
    assert await queue.dead_letter("stt-paused", late, "x", "y") == "stale"
    assert await queue.release("stt-paused", late) == "stale"

    fresh = await driver.claim("stt-2")
    assert fresh.attempt == 2
    assert await queue.commit("stt-paused", late, Outcome({"transcript": "late"})) == "stale"
    assert await queue.commit("stt-2", fresh, Outcome({"transcript": "fresh"})) == "committed"
    assert (await queue.job(job_id)).transcript == "fresh"
    assert [event["event"] for event in await queue.events(job_id)].count("completed") == 1


async def test_older_attempt_of_the_same_worker_cannot_commit(driver, queue):
    """An older attempt's commit is stale even while its worker holds the task again: the token decides."""
    await driver.submit()
    old = await driver.claim("stt-1")
    await queue.release("stt-1", old)
    new = await driver.claim("stt-1")
    assert new.task == old.task
    assert await queue.commit("stt-1", old, Outcome({"transcript": "old"})) == "stale"
    assert await queue.commit("stt-1", new, Outcome({"transcript": "new"})) == "committed"


async def test_repeated_commit_counts_once(driver, queue):
    """A commit that is repeated because its reply was lost pushes the next task once."""
    job_id = await driver.submit()
    claim = await driver.claim("stt-1")
    outcome = Outcome(next=[(task_name("llm", job_id), "")])
    assert await queue.commit("stt-1", claim, outcome) == "committed"
    assert await queue.commit("stt-1", claim, outcome) == "stale"
    assert driver.placed_tasks() == [f"llm:{job_id}"]


async def test_rescheduled_task_waits_until_it_is_due(driver, queue):
    """A rescheduled task stays in the delayed set until it is due, and then is the next of its list."""
    first, second = await driver.submit(), await driver.submit()
    claim = await driver.claim("stt-1")
    assert await queue.reschedule("stt-1", claim, 0.15, "model_unavailable", crashed=False) == "rescheduled"
    assert await queue.promote() == 0
    assert list(driver.places()) == [KEYS["QUEUE"] + "stt", KEYS["DELAYED"]]
    await asyncio.sleep(0.2)
    assert await queue.promote() == 1
    claim = await driver.claim("stt-1")
    assert (claim.job_id, claim.attempt) == (first, 2)
    assert (await driver.claim("stt-1")).job_id == second
    retrying = [event for event in await queue.events(first) if event["event"] == "retrying"]
    assert retrying[0]["code"] == "model_unavailable"


async def test_dead_letter_fails_its_job(driver, queue):
    """A dead-lettered task fails its job with the error, keeps its input, and drops the answer's other segments."""
    job_id = await driver.reach_tts(segments=3)
    claim, sibling = await driver.claim("tts-1", "tts"), await driver.claim("tts-2", "tts")
    assert await queue.dead_letter("tts-1", claim, "unknown_voice", "No such voice.") == "dead_lettered"
    job = await queue.job(job_id)
    assert (job.status, job.error.code, job.error.message) == ("failed", "unknown_voice", "No such voice.")
    assert driver.redis.hget(KEYS["TASKS"] + job_id, f"input:{claim.task}") == "text 0"
    assert await queue.commit("tts-2", sibling, Outcome(part=(1, "f"))) == "job_ended"
    assert await queue.claim("tts-1", "tts", "t") is None
    assert driver.places() == {KEYS["DEAD"]: [claim.task]}
    assert [event["event"] for event in await queue.events(job_id)].count("failed") == 1


async def test_input_that_kills_its_workers_is_dead_lettered(driver, queue):
    """A task whose workers died three times is dead-lettered, and other jobs go on."""
    poison = await driver.submit()
    await queue.reclaim()
    for attempt in range(MAX_CRASHES):
        assert (await driver.claim(f"stt-{attempt}")).job_id == poison
        driver.expire_lease(f"stt-{attempt}")
        assert await queue.reclaim() == [f"stt:{poison}"]
    other = await driver.submit()
    await driver.enlist("stt-9")
    assert await queue.claim("stt-9", "stt", "t") is None
    assert (await queue.job(poison)).error.code == "worker_died"
    assert driver.redis.lrange(KEYS["DEAD"], 0, -1) == [f"stt:{poison}"]
    assert (await driver.claim("stt-9")).job_id == other


async def test_rescheduled_and_released_attempts_are_no_crashes(driver, queue):
    """A task that was often rescheduled or released is not dead-lettered as one that kills workers."""
    await driver.submit()
    for _ in range(MAX_CRASHES + 2):
        claim = await driver.claim("stt-1")
        await queue.reschedule("stt-1", claim, 0, "x", crashed=False)
        await queue.promote()
    for _ in range(MAX_CRASHES + 2):
        claim = await driver.claim("stt-1")
        assert claim.attempt == MAX_CRASHES + 3
        assert await queue.release("stt-1", claim) == "released"


async def test_only_dead_workers_lose_their_tasks(driver, queue):
    """A reclaim takes the tasks of a worker without a heartbeat, and none of a live one."""
    await queue.reclaim()
    dead, alive = await driver.submit(), await driver.submit()
    await driver.claim("stt-dead")
    await driver.claim("stt-alive")
    driver.expire_lease("stt-dead")
    assert await queue.reclaim() == [f"stt:{dead}"]
    assert driver.places() == {KEYS["QUEUE"] + "stt": [f"stt:{dead}"], KEYS["HELD"] + "stt-alive": [f"stt:{alive}"]}
    assert [worker.stage for worker in await queue.workers()] == ["stt"]


async def test_every_worker_gets_one_more_lease_after_an_outage(driver, queue):
    """The first reclaim after a Redis outage takes nothing, since no worker could send heartbeats; a later one does."""
    job_id = await driver.submit()
    await driver.claim("stt-1")
    driver.expire_lease("stt-1")
    driver.redis.set(KEYS["SWEPT_AT"], 1)
    assert await queue.reclaim() == []
    assert await queue.reclaim() == []
    driver.expire_lease("stt-1")
    assert await queue.reclaim() == [f"stt:{job_id}"]


async def test_worker_that_deregisters_returns_the_tasks_it_holds(driver, queue):
    """The tasks that a deregistered worker held are next in their list, and it no longer counts as warm."""
    job_id = await driver.submit()
    await driver.enlist("stt-1")
    driver.hold("stt-1")
    await queue.deregister("stt-1", "stt")
    assert driver.places() == {KEYS["QUEUE"] + "stt": [f"stt:{job_id}"]}
    assert await queue.workers() == []


@pytest.mark.parametrize("seed", range(20))
async def test_segments_are_joined_once_in_any_order(driver, queue, seed):
    """Segments that are committed in any order, by workers that may die, are joined once, with all of them."""
    rng = random.Random(seed)
    job_id = await driver.reach_tts(segments=6)
    await queue.reclaim()
    claims = [(f"tts-{n}", await driver.claim(f"tts-{n}", "tts")) for n in range(6)]
    rng.shuffle(claims)
    while claims:
        worker, claim = claims.pop()
        if rng.random() < 0.3 and claim.attempt < MAX_CRASHES:
            driver.expire_lease(worker)
            await queue.reclaim()
            replacement = f"tts-{uuid4().hex}"
            claims.append((replacement, await driver.claim(replacement, "tts")))
        assert await queue.commit(worker, claim, Outcome(part=(int(claim.part), f"by {worker}"))) in (
            "committed",
            "stale",
        )
        if rng.random() < 0.3:
            assert await queue.commit(worker, claim, Outcome(part=(int(claim.part), "again"))) == "stale"
    assert driver.placed_tasks() == [f"tts:{job_id}:join"]
    join = await driver.claim("tts-join", "tts")
    assert join.input.count("by tts-") == 6
    assert await queue.commit("tts-join", join, Outcome()) == "committed"
    assert (await queue.job(job_id)).status == "completed"


@pytest.mark.parametrize("seed", range(10))
async def test_every_open_task_is_in_one_place_after_every_verb(driver, queue, seed):
    """Every open task is in exactly one place after each verb of a random sequence by several workers."""
    rng = random.Random(seed)
    await queue.reclaim()
    claims: list[tuple[str, Claim]] = []
    for _ in range(120):
        verb = rng.choice(
            ["submit", "claim", "claim", "commit", "commit", "reschedule", "release", "die", "dead_letter", "cancel"]
        )
        worker = f"stt-{rng.randrange(4)}"
        if verb == "submit":
            await driver.submit()
        elif verb == "claim":
            await driver.enlist(worker)
            task = driver.hold(worker)
            claim = await queue.begin(worker, "stt", uuid4().hex, task) if task else None
            if claim:
                claims.append((worker, claim))
        elif verb == "die":
            driver.expire_lease(worker)
            await queue.reclaim()
        elif claims:  # any attempt, also one whose task was reclaimed long ago
            worker, claim = rng.choice(claims)
            if verb == "commit":
                await queue.commit(worker, claim, Outcome())
            elif verb == "reschedule":
                await queue.reschedule(worker, claim, 0, "x", crashed=rng.random() < 0.5)
                await queue.promote()
            elif verb == "release":
                await queue.release(worker, claim)
            elif verb == "dead_letter":
                await queue.dead_letter(worker, claim, "x", "y")
            else:
                await queue.cancel(claim.job_id)
        assert driver.placed_tasks() == driver.open_tasks()


async def test_commit_may_claim_the_next_task(driver, queue):
    """A commit claims the next task in the same step; a stale commit records nothing, and still claims."""
    first, second, third = [await driver.submit() for _ in range(3)]
    claim = await driver.claim("stt-1")
    verdict, following = await queue.commit_and_claim("stt-1", claim, Outcome({"transcript": "x"}), "next")
    assert (verdict, following.job_id, following.token) == ("committed", second, "next")
    assert (await queue.job(first)).transcript == "x"
    verdict, following = await queue.commit_and_claim("stt-1", claim, Outcome({"transcript": "y"}), "after")
    assert (verdict, following.job_id) == ("stale", third)
    assert (await queue.job(first)).transcript == "x"
    assert await queue.commit_and_claim("stt-1", following, Outcome(), "last") == ("committed", None)


async def test_claim_starts_a_held_task_without_an_attempt_first(driver, queue):
    """A claim starts the held task whose claim was lost, and no second attempt at the task that runs."""
    running, waiting = await driver.submit(), await driver.submit()
    assert (await driver.claim("stt-1")).job_id == running
    driver.hold("stt-1")
    assert (await queue.claim("stt-1", "stt", "a")).job_id == waiting
    assert await queue.claim("stt-1", "stt", "b") is None
    assert (await queue.job(running)).attempts == {"stt": 1}
