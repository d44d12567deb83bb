"""Conversations in Redis: their turns, the order of the turns, and erasing them for good."""

from uuid import uuid4

import pytest

from shared.errors import QueueFull
from shared.queue.keys import KEYS
from shared.queue.messages import Outcome
from shared.queue.stages import SPEECH_TO_SPEECH, TEXT_TO_SPEECH, first_task, task_name

pytestmark = pytest.mark.redis

KEY = KEYS["CONVERSATION"] + "kitchen"


def texts(conversation):
    return [(turn.user, turn.assistant) for turn in conversation.turns]


async def test_turn_has_the_turns_before_it_as_history(ask, answer, conversations):
    """A turn's claim has the questions and answers of the turns before it, oldest first; the first turn's has none."""
    jobs = []
    for number in range(3):
        jobs.append(await ask(f"question {number}"))
        claim, verdict = await answer(f"answer {number}")
        assert verdict == "committed"
        assert claim.history == tuple((f"question {before}", f"answer {before}") for before in range(number))
    conversation = await conversations.find("kitchen")
    assert [turn.job_id for turn in conversation.turns] == jobs
    assert texts(conversation) == [(f"question {number}", f"answer {number}") for number in range(3)]


async def test_job_without_a_conversation_has_no_history(ask, answer, conversations):
    """A job without a conversation has no history and makes no conversation."""
    await ask("hello", name="")
    claim, _ = await answer("there")
    assert claim.history == ()
    assert await conversations.find("") is None


async def test_spoken_turn_appears_with_its_transcript(driver, queue, ask, answer, conversations):
    """A recording's turn appears with the STT commit, and its answer with the LLM commit."""
    job_id = await ask(route=SPEECH_TO_SPEECH)
    assert (await conversations.find("kitchen")).turns == []
    transcribed = Outcome({"transcript": "hello", "language": "de"}, [(task_name("llm", job_id), "")])
    await queue.commit("stt-1", await driver.claim("stt-1"), transcribed)
    assert texts(await conversations.find("kitchen")) == [("hello", None)]
    await answer("there")
    assert texts(await conversations.find("kitchen")) == [("hello", "there")]
    assert (await queue.job(job_id)).conversation_id == "kitchen"


async def test_turn_without_an_answer_is_shown_and_not_in_the_history(driver, queue, ask, answer, conversations):
    """A turn that was only transcribed is shown, and is not in later turns' history: a model's prompt would have two
    questions in a row."""
    await ask(route="stt")
    await queue.commit("stt-1", await driver.claim("stt-1"), Outcome({"transcript": "note to self"}))
    await ask("hello")
    claim, _ = await answer("there")
    assert claim.history == ()
    assert texts(await conversations.find("kitchen")) == [("note to self", None), ("hello", "there")]


async def test_overlapping_turns_keep_the_order_in_which_they_were_sent(driver, ask, answer, conversations):
    """Turns are shown in the order in which they were sent, whichever is answered first, and a turn's history has
    those before it that were answered when it was claimed."""
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


async def test_late_turn_has_no_later_turn_in_its_history(driver, queue, ask, answer):
    """A turn that is answered after a later one does not have that one in its history."""
    await ask("first")
    stuck = await driver.claim("llm-1", "llm")
    await ask("second")
    await answer("to the second", worker="llm-2")
    await queue.release("llm-1", stuck)
    claim, _ = await answer("to the first")
    assert claim.history == ()


async def test_answer_of_a_restarted_turn_is_saved_once(driver, queue, ask, answer, conversations):
    """A turn whose worker died while answering has the next worker's answer, whatever the first one commits later."""
    await ask("hello")
    dead = await driver.claim("llm-1", "llm")
    await queue.commit_partial("llm-1", dead, Outcome({"response": "half an"}, parts=("tts", ["half an"])))
    assert texts(await conversations.find("kitchen")) == [("hello", None)]
    await queue.reclaim()
    driver.expire_lease("llm-1")
    assert await queue.reclaim() == [dead.task]
    claim, verdict = await answer("whole", worker="llm-2")
    assert (claim.task, verdict) == (dead.task, "committed")
    assert (await answer("late", dead))[1] == "stale"
    assert (await answer("repeated", claim, "llm-2"))[1] == "stale"
    assert texts(await conversations.find("kitchen")) == [("hello", "whole")]


async def test_late_commit_does_not_restore_a_deleted_conversation(driver, ask, answer, conversations):
    """An answer that is committed after its conversation was deleted is saved neither in it nor in a new conversation
    with the same id."""
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
async def test_turn_of_a_deleted_job_is_erased(driver, queue, redis, ask, answer, conversations, moment):
    """Deleting a job erases both sides of its turn, whatever the job's status; the other turns stay."""
    await ask("kept")
    await answer("kept too")
    job_id = await ask("secret question")
    if moment == "answered":
        await answer("secret answer")
    if moment == "ended":
        claim = await driver.claim("llm-1", "llm")
        await queue.commit("llm-1", claim, Outcome({"response": "secret answer"}))  # without parts, so the job ends
        assert "secret answer" in str(redis.hgetall(KEY))
        assert await queue.erase(job_id, with_turn=True)
        assert not await queue.erase(job_id, with_turn=True)
    else:
        assert await queue.cancel(job_id) == "cancelled"
        assert await queue.cancel(job_id) == "job_ended"
    assert "secret" not in str(redis.hgetall(KEY))
    assert texts(await conversations.find("kitchen")) == [("kept", "kept too")]
    await ask("next")
    claim, _ = await answer("there")
    assert claim.history == (("kept", "kept too"),)


async def test_turn_outlives_the_retention_of_its_job(driver, queue, ask, answer, conversations):
    """A job that is erased by retention leaves its turn in the conversation."""
    job_id = await ask("hello", route="llm")
    claim = await driver.claim("llm-1", "llm")
    await queue.commit("llm-1", claim, Outcome({"response": "there"}))
    assert await queue.erase(job_id)
    assert texts(await conversations.find("kitchen")) == [("hello", "there")]


async def test_later_turns_inherit_the_language_and_voice_that_worked(driver, queue, ask, answer, conversations):
    """The language of a committed transcript and the voice of a committed segment apply to later turns that name
    none."""
    job_id = await ask(route=SPEECH_TO_SPEECH, voice="anna")
    transcribed = Outcome({"transcript": "hallo", "language": "de"}, [(task_name("llm", job_id), "")])
    await queue.commit("stt-1", await driver.claim("stt-1"), transcribed)
    await answer("hallo")
    assert (await conversations.find("kitchen")).voice is None
    await queue.commit("tts-1", await driver.claim("tts-1", "tts"), Outcome(part=(0, "0.wav")))
    conversation = await conversations.find("kitchen")
    assert (conversation.language, conversation.voice) == ("de", "anna")

    recorded = await queue.fields(await ask(route=SPEECH_TO_SPEECH))
    assert (recorded["language_hint"], recorded["voice"], "language" in recorded) == ("de", "anna", False)
    written = await queue.fields(await ask("hello", language="en", voice="bob"))
    assert (written["language"], written["voice"], "language_hint" in written) == ("en", "bob", False)
    await answer("hello")
    assert (await queue.fields(await ask("again")))["language"] == "en"


async def test_latest_turn_decides_the_language(driver, ask, answer, conversations):
    """The conversation's language is that of the turn that was sent last, not of the one that is answered last."""
    await ask("first", language="de")
    await ask("second", language="fr")
    first = await driver.claim("llm-1", "llm")
    await answer("to the second", worker="llm-2")
    await answer("to the first", first)
    assert (await conversations.find("kitchen")).language == "fr"


async def test_repeated_submit_makes_one_turn(queue, redis, ask, conversations):
    """A submit that is repeated with its job id, or by a caller with its Idempotency-Key, makes one turn."""
    job_id = uuid4().hex
    for _ in range(2):
        await ask("hello", job_id=job_id)
    assert len((await conversations.find("kitchen")).turns) == 1

    accepted = set()
    for _ in range(2):
        other = uuid4().hex
        tasks = [first_task(TEXT_TO_SPEECH, other)]
        fields = {"route": TEXT_TO_SPEECH, "transcript": "once"}
        options = {"max_live": 9, "idempotency_key": "key", "conversation_id": "kitchen"}
        accepted.add(await queue.submit(other, fields, tasks, **options))
    assert len(accepted) == 1
    assert [turn.user for turn in (await conversations.find("kitchen")).turns] == ["hello", "once"]


async def test_refused_job_makes_no_conversation(queue, conversations):
    """A job that is refused at the limit of live jobs makes no conversation."""
    with pytest.raises(QueueFull):
        await queue.submit("a" * 32, {"route": "stt"}, [first_task("stt", "a" * 32)], max_live=0, conversation_id="c")
    assert await conversations.find("c") is None
