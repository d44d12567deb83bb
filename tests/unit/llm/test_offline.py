"""The built-in responder."""

from datetime import datetime

import pytest

from fakes.llm_settings import llm_settings
from llm_worker.engine import HistoryTurn, Prompt
from llm_worker.engines.offline.arithmetic import solve
from llm_worker.engines.offline.engine import OfflineEngine, load

AFTERNOON = datetime(2031, 3, 5, 15, 4)


async def reply_to(
    text: str, *, language: str = "en", now: datetime = AFTERNOON, history: tuple[HistoryTurn, ...] = ()
) -> str:
    engine = OfflineEngine(clock=lambda: now)
    prompt = Prompt(text=text, language=language, system="", history=history)
    return "".join([chunk async for chunk in engine.answer(prompt)])


@pytest.mark.parametrize(
    ("question", "result"),
    [
        ("what is seven plus five", "Seven plus five is twelve."),
        ("What is 7 + 5?", "Seven plus five is twelve."),
        ("What's 12 times 3?", "Twelve times three is thirty-six."),
        ("3x4", "Three times four is twelve."),
        ("sixty-five minus a hundred and five", "Sixty-five minus one hundred and five is minus forty."),
        ("nine hundred ninety nine plus one", "Nine hundred and ninety-nine plus one is one thousand."),
        ("seven divided by two", "Seven divided by two is three point five."),
        ("10 / 4", "Ten divided by four is two point five."),
        ("one divided by three", "One divided by three is about zero point three three."),
        ("twelve multiplied by twelve", "Twelve times twelve is one hundred and forty-four."),
        ("two plus three times four", "Two plus three times four is fourteen."),
        ("1,500 + 0.05", "One thousand five hundred plus zero point zero five is one thousand five hundred point"),
        ("1000 times 2000", "One thousand times two thousand is 2000000."),
        ("to plus to", "Two plus two is four."),
        ("ten divided by zero", "I cannot divide by zero."),
    ],
)
def test_arithmetic_is_computed(question: str, result: str) -> None:
    """Four operations in words or digits, with multiplication first, have their result in words."""
    assert (solve(question) or "").startswith(result)


@pytest.mark.parametrize(
    "question",
    [
        "",
        "set a timer for ten minutes",
        "plus five",
        "five plus",
        "five plus bananas",
        "a plus b",
        "my number is 555-1234",
        "remember the 5/3",
        "one two plus three",
        "two plus three four",
        "two million plus one",
        "two point five plus one",
        "9999999999 plus 1",
        " plus ".join(["one"] * 50),
        "__import__('os').system('x') + 1",
    ],
)
def test_ambiguous_expression_has_no_result(question: str) -> None:
    """A question that may not be an expression, or may be another one, has no result."""
    assert solve(question) is None


async def test_question_for_the_time_is_answered() -> None:
    """The time of the engine's clock is answered in words."""
    assert await reply_to("What time is it?") == "It is three oh four PM."
    assert await reply_to("tell me the time", now=AFTERNOON.replace(hour=0, minute=0)) == "It is twelve o'clock AM."
    assert (
        await reply_to("tell me the time", now=AFTERNOON.replace(hour=12, minute=45)) == "It is twelve forty-five PM."
    )


async def test_question_for_the_date_is_answered() -> None:
    """The date of the engine's clock is answered with weekday and year."""
    assert await reply_to("What's today's date?") == "Today is Wednesday, March 5, 2031."


@pytest.mark.parametrize("question", ["Hello there!", "Who are you?", "Are you Gemini?", "Sing a song."])
async def test_replies_do_not_claim_to_be_a_model(question: str) -> None:
    """Replies to greetings, to questions about identity and to unknown requests state that no model answers."""
    assert "not a language model" in await reply_to(question)


@pytest.mark.parametrize("question", ["How do I get a real model?", "Help", "Who are you?", "Sing a song."])
async def test_replies_explain_how_to_get_a_model(question: str) -> None:
    """Questions about abilities and unknown requests are answered with both variables that set up a model."""
    reply = await reply_to(question)
    assert "GEMINI_API_KEY" in reply
    assert "OPENAI_BASE_URL" in reply


async def test_unknown_request_is_answered_with_the_transcript() -> None:
    """An unknown request is answered with its transcript, so that a first try shows whether recognition works."""
    assert (await reply_to("Sing  a\nsong.")).startswith("I heard: Sing a song. ")


async def test_other_languages_get_an_apology() -> None:
    """A question in another language gets an apology, even if some of its words look like arithmetic."""
    assert "only understand English" in await reply_to("was ist 7 plus 5", language="de")
    assert await reply_to("what is 7 plus 5", language="en-GB") == "Seven plus five is twelve."


async def test_engine_needs_no_settings() -> None:
    """The engine loads without any setting and answers with the real time."""
    engine = load(llm_settings())
    assert (engine.name, engine.model) == ("offline", "built-in")
    prompt = Prompt(text="what time is it", language="en", system="")
    assert (await anext(aiter(engine.answer(prompt)))).startswith("It is ")
    await engine.close()


@pytest.mark.parametrize("question", ["What did I just say?", "what did i ask you", "What was my last question?"])
async def test_last_question_is_recalled(question: str) -> None:
    """A question about the last question is answered with the latest turn's."""
    history = (HistoryTurn("hello", "Hello!"), HistoryTurn("what is one plus one", "One plus one is two."))
    assert await reply_to(question, history=history) == "You said: what is one plus one"


@pytest.mark.parametrize("question", ["What did you say?", "Please repeat that.", "say it again"])
async def test_last_reply_is_recalled(question: str) -> None:
    """A question about the last reply is answered with the latest turn's, or with a note that there is none."""
    assert await reply_to(question, history=(HistoryTurn("what is one plus one", "Two."),)) == "I said: Two."
    assert await reply_to(question) == "We have not spoken before."
