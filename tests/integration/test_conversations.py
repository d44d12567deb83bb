"""Conversations in Redis: what is remembered, in which order, and what is never brought back."""

import asyncio
from uuid import uuid4

import pytest

from shared.errors import QueueFull, QueueUnreadable
from shared.queue.conversations import Conversations
from shared.queue.keys import HISTORY_BYTES, KEYS, TURNS_KEPT
from shared.queue.messages import Outcome
from shared.queue.stages import SPEECH_TO_SPEECH, TEXT_TO_SPEECH, first_task, task_name

pytestmark = pytest.mark.redis

KEY = KEYS["CONVERSATION"] + "kitchen"


@pytest.fixture
def conversations(queue):
    return Conversations(queue)


@pytest.fixture
def ask(queue):
    """Submits a written question, or, with a route, something else."""

    async def ask(text="", route=TEXT_TO_SPEECH, name="kitchen", job_id="", **fields):
        job_id = job_id or uuid4().hex
        given = {"route": route} | ({"transcript": text} if text else {}) | fields
        made = await queue.submit(job_id, given, [first_task(route, job_id)], max_live=1000, conversation_id=name)
        assert made == job_id
        return job_id

    return ask


@pytest.fixture
def answer(driver, queue):
    """Commits what was claimed for the LLM stage, as an answer that waits to be spoken."""

    async def answer(text, claim=None, worker="llm-1"):
        claim = claim or await driver.claim(worker, "llm")
        outcome = Outcome({"response": text}, parts=("tts", [text]))
        return claim, await queue.commit(worker, claim, outcome)

    return answer


def texts(conversation):
    return [(turn.user, turn.assistant) for turn in conversation.turns]


async def test_a_turn_is_told_those_before(ask, answer, conversations):
    """The first is told nothing, each later one what was said and answered, oldest first."""
    jobs = []
    for number in range(3):
        jobs.append(await ask(f"question {number}"))
        claim, verdict = await answer(f"answer {number}")
        assert verdict == "committed"
        assert claim.history == tuple((f"question {before}", f"answer {before}") for before in range(number))
    conversation = await conversations.find("kitchen")
    assert [turn.job_id for turn in conversation.turns] == jobs
    assert texts(conversation) == [(f"question {number}", f"answer {number}") for number in range(3)]


async def test_a_job_without_a_conversation_is_told_nothing(ask, answer, conversations):
    """Nor is it in anybody's."""
    await ask("hello", name="")
    claim, _ = await answer("there")
    assert claim.history == ()
    assert await conversations.find("") is None


async def test_a_spoken_turn_is_known_once_it_has_been_heard(driver, queue, ask, answer, conversations):
    """Before that there is nothing to show; the answer follows with the language model's commit."""
    job_id = await ask(route=SPEECH_TO_SPEECH)
    assert (await conversations.find("kitchen")).turns == []
    heard = Outcome({"transcript": "hello", "language": "de"}, [(task_name("llm", job_id), "")])
    await queue.commit("stt-1", await driver.claim("stt-1"), heard)
    assert texts(await conversations.find("kitchen")) == [("hello", None)]
    await answer("there")
    assert texts(await conversations.find("kitchen")) == [("hello", "there")]
    assert (await queue.job(job_id)).conversation_id == "kitchen"


async def test_what_was_only_recognized_is_shown_and_not_told(driver, queue, ask, answer, conversations):
    """A turn without an answer would make a model's prompt two questions in a row."""
    await ask(route="stt")
    await queue.commit("stt-1", await driver.claim("stt-1"), Outcome({"transcript": "note to self"}))
    await ask("hello")
    claim, _ = await answer("there")
    assert claim.history == ()
    assert texts(await conversations.find("kitchen")) == [("note to self", None), ("hello", "there")]


async def test_turns_that_overlap_keep_the_order_in_which_they_were_sent(driver, ask, answer, conversations):
    """The second is answered first and sees nothing of the first; that one sees nothing of what came after it; the
    third sees both."""
    await ask("first")
    await ask("second")
    first, second = await driver.claim("llm-1", "llm"), await driver.claim("llm-2", "llm")
    assert (await answer("to the second", second, "llm-2"))[1] == "committed"
    assert texts(await conversations.find("kitchen")) == [("first", None), ("second", "to the second")]
    assert (first.history, second.history) == ((), ())
    await ask("third")
    early, _ = await answer("to the third", worker="llm-2")
    assert early.history == (("second", "to the second"),)
    assert (await answer("to the first", first))[1] == "committed"
    turns = [("first", "to the first"), ("second", "to the second"), ("third", "to the third")]
    assert texts(await conversations.find("kitchen")) == turns


async def test_an_earlier_turn_that_is_done_late_is_not_told_later_ones(driver, queue, ask, answer):
    """Its place is before them."""
    await ask("first")
    stuck = await driver.claim("llm-1", "llm")
    await ask("second")
    await answer("to the second", worker="llm-2")
    await queue.release("llm-1", stuck)
    claim, _ = await answer("to the first")
    assert claim.history == ()


async def test_an_answer_that_is_made_again_is_remembered_once(driver, queue, ask, answer, conversations):
    """A worker dies in the middle of its answer, another one takes over, the first comes back: one answer counts."""
    await ask("hello")
    dead = await driver.claim("llm-1", "llm")
    await queue.commit_partial("llm-1", dead, Outcome({"response": "half an"}, parts=("tts", ["half an"])))
    assert texts(await conversations.find("kitchen")) == [("hello", None)]
    await queue.reclaim()
    driver.let_die("llm-1")
    assert await queue.reclaim() == [dead.task]
    claim, verdict = await answer("whole", worker="llm-2")
    assert (claim.task, verdict) == (dead.task, "committed")
    assert (await answer("late", dead))[1] == "stale"
    assert (await answer("again", claim, "llm-2"))[1] == "stale"
    assert texts(await conversations.find("kitchen")) == [("hello", "whole")]


async def test_a_deleted_conversation_is_not_brought_back(driver, ask, answer, conversations):
    """Neither by an answer that was under way, nor where a new one has begun under the same name."""
    for text in ("one", "two"):
        await ask(text)
    one, two = await driver.claim("llm-1", "llm"), await driver.claim("llm-1", "llm")
    assert await conversations.delete("kitchen")
    assert not await conversations.delete("kitchen")
    assert (await answer("late", one))[1] == "committed"
    assert await conversations.find("kitchen") is None

    await ask("fresh")
    assert (await answer("later", two))[1] == "committed"
    claim, _ = await answer("new")
    assert claim.history == ()
    assert texts(await conversations.find("kitchen")) == [("fresh", "new")]


@pytest.mark.parametrize("moment", ["waiting", "answered", "ended"])
async def test_what_is_deleted_with_its_job_is_gone_from_the_conversation(
    driver, queue, redis, ask, answer, conversations, moment
):
    """Both sides of the turn, whatever had become of the job; the other turns stay, and the next is not told of it."""
    await ask("kept")
    await answer("this as well")
    job_id = await ask("secret question")
    if moment == "answered":
        await answer("secret answer")
    if moment == "ended":
        claim = await driver.claim("llm-1", "llm")
        await queue.commit("llm-1", claim, Outcome({"response": "secret answer"}))  # which nobody is to speak
        assert "secret answer" in str(redis.hgetall(KEY))
        assert await queue.erase(job_id, with_turn=True)
        assert not await queue.erase(job_id, with_turn=True)
    else:
        assert await queue.cancel(job_id) == "cancelled"
        assert await queue.cancel(job_id) == "over"
    assert "secret" not in str(redis.hgetall(KEY))
    assert texts(await conversations.find("kitchen")) == [("kept", "this as well")]
    await ask("next")
    claim, _ = await answer("there")
    assert claim.history == (("kept", "this as well"),)


async def test_a_job_whose_time_is_over_leaves_its_turn(driver, queue, ask, answer, conversations):
    """A conversation is kept for a time of its own."""
    job_id = await ask("hello", route="llm")
    claim = await driver.claim("llm-1", "llm")
    await queue.commit("llm-1", claim, Outcome({"response": "there"}))
    assert await queue.erase(job_id)
    assert texts(await conversations.find("kitchen")) == [("hello", "there")]


async def test_language_and_voice_are_remembered_once_they_have_worked(driver, queue, ask, answer, conversations):
    """What was heard or named, and spoken; a turn that names its own changes it, one that names none has it."""
    job_id = await ask(route=SPEECH_TO_SPEECH, voice="anna")
    heard = Outcome({"transcript": "hallo", "language": "de"}, [(task_name("llm", job_id), "")])
    await queue.commit("stt-1", await driver.claim("stt-1"), heard)
    await answer("hallo")
    assert (await conversations.find("kitchen")).voice is None
    await queue.commit("tts-1", await driver.claim("tts-1", "tts"), Outcome(part=(0, "0.wav")))
    conversation = await conversations.find("kitchen")
    assert (conversation.language, conversation.voice) == ("de", "anna")

    spoken = await queue.fields(await ask(route=SPEECH_TO_SPEECH))
    assert (spoken["language_hint"], spoken["voice"], "language" in spoken) == ("de", "anna", False)
    written = await queue.fields(await ask("hello", language="en", voice="bob"))
    assert (written["language"], written["voice"], "language_hint" in written) == ("en", "bob", False)
    await answer("hello")
    assert (await queue.fields(await ask("again")))["language"] == "en"


async def test_the_latest_turn_has_the_say_on_the_language(driver, ask, answer, conversations):
    """Not the one that happens to be answered last."""
    await ask("first", language="de")
    await ask("second", language="fr")
    first = await driver.claim("llm-1", "llm")
    await answer("to the second", worker="llm-2")
    await answer("to the first", first)
    assert (await conversations.find("kitchen")).language == "fr"


async def test_a_repeated_submit_is_one_turn(queue, redis, ask, conversations):
    """Its first reply was lost, or the caller has sent it again under its key."""
    job_id = uuid4().hex
    for _ in range(2):
        await ask("hello", job_id=job_id)
    assert len((await conversations.find("kitchen")).turns) == 1

    made = set()
    for _ in range(2):
        other = uuid4().hex
        tasks = [first_task(TEXT_TO_SPEECH, other)]
        fields = {"route": TEXT_TO_SPEECH, "transcript": "once"}
        options = {"max_live": 9, "idempotency_key": "key", "conversation_id": "kitchen"}
        made.add(await queue.submit(other, fields, tasks, **options))
    assert len(made) == 1
    assert [turn.user for turn in (await conversations.find("kitchen")).turns] == ["hello", "once"]


async def test_a_refused_turn_leaves_no_conversation(queue, conversations):
    """There was no room for its job."""
    with pytest.raises(QueueFull):
        await queue.submit("a" * 32, {"route": "stt"}, [first_task("stt", "a" * 32)], max_live=0, conversation_id="c")
    assert await conversations.find("c") is None


async def test_a_conversation_is_forgotten_after_its_last_turn(redis, ask, answer, conversations):
    """Each turn, and each answer, prolongs its life; then it begins anew."""
    await ask("hello")
    assert (await conversations.find("kitchen")).expires_in_s == pytest.approx(86_400, abs=5)
    redis.pexpire(KEY, 1000)
    await answer("there")
    assert (await conversations.find("kitchen")).expires_in_s == pytest.approx(86_400, abs=5)
    redis.pexpire(KEY, 1)
    async with asyncio.timeout(10):
        while await conversations.find("kitchen"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await ask("again")
    claim, _ = await answer("hello")
    assert claim.history == ()


async def test_a_long_conversation_is_bounded(driver, queue, redis, ask, answer, conversations):
    """Of turns that are too many the oldest are dropped; of those that are too long the model is told the latest."""
    for number in range(TURNS_KEPT + 5):
        await ask(f"question {number}", route="llm")
        claim = await driver.claim("llm-1", "llm")
        await queue.commit("llm-1", claim, Outcome({"response": "x"}))
    assert [turn.user for turn in (await conversations.find("kitchen")).turns] == [
        f"question {number}" for number in range(5, TURNS_KEPT + 5)
    ]
    assert redis.hlen(KEY) < 5 * TURNS_KEPT

    for _ in range(2):
        await ask("long", route="llm")
        claim = await driver.claim("llm-1", "llm")
        await queue.commit("llm-1", claim, Outcome({"response": "x" * (HISTORY_BYTES - 100)}))
    await ask("next")
    claim, _ = await answer("there")
    assert [user for user, _ in claim.history] == ["long"]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda redis: (redis.delete(KEY), redis.set(KEY, b"\xff")), id="it is a string"),
        pytest.param(
            lambda redis: redis.hset(KEY, mapping={"next": "junk", "first": b"\xff"}), id="its numbers are none"
        ),
        pytest.param(
            lambda redis: redis.hset(KEY, mapping={"ttl_ms": "junk", "language_of": "x"}), id="its time is none"
        ),
        pytest.param(lambda redis: redis.delete(KEY), id="it is gone"),
    ],
)
@pytest.mark.parametrize("moment", ["before the turn", "in work"])
async def test_a_damaged_conversation_stops_no_job(driver, queue, redis, ask, answer, conversations, damage, moment):
    """Somebody has written into it: its jobs go on, at worst without a memory."""
    await ask("hello")
    await answer("there")
    if moment == "before the turn":
        damage(redis)
        job_id = await ask("next")
        claim = await driver.claim("llm-1", "llm")
    else:
        job_id = await ask("next")
        claim = await driver.claim("llm-1", "llm")
        damage(redis)
    assert (await answer("done", claim))[1] == "committed"
    assert (await queue.job(job_id)).response == "done"
    assert await queue.cancel(job_id) == "cancelled"


async def test_what_somebody_else_has_written_is_no_conversation(redis, conversations):
    """It is told from one that is not there only where there is a conversation at all."""
    redis.set(KEY, "junk")
    assert await conversations.find("kitchen") is None
    redis.delete(KEY)
    redis.hset(KEY, mapping={"user:0": "hello", "job:0": "a" * 32, "at:0": "noon"})
    with pytest.raises(QueueUnreadable):
        await conversations.find("kitchen")
    assert await conversations.delete("kitchen")
