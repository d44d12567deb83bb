"""The built-in responder."""

from datetime import datetime

import pytest

from fakes.llm_settings import llm_settings
from llm_worker.engine import HistoryTurn, Prompt
from llm_worker.engines.offline.arithmetic import solve
from llm_worker.engines.offline.engine import OfflineEngine, load

AFTERNOON = datetime(2031, 3, 5, 15, 4)


async def said(
    text: str, *, language: str = "en", now: datetime = AFTERNOON, history: tuple[HistoryTurn, ...] = ()
) -> str:
    engine = OfflineEngine(clock=lambda: now)
    prompt = Prompt(text=text, language=language, system="", history=history)
    return "".join([piece async for piece in engine.answer(prompt)])


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
def test_sums_are_worked_out(question: str, result: str) -> None:
    """Four operations, in words or digits, with multiplication first, spoken as words."""
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
def test_what_is_not_surely_a_sum_is_left_alone(question: str) -> None:
    """Better no result than a wrong one."""
    assert solve(question) is None


async def test_it_tells_the_time() -> None:
    """In words, from the clock that it was given."""
    assert await said("What time is it?") == "It is three oh four PM."
    assert await said("tell me the time", now=AFTERNOON.replace(hour=0, minute=0)) == "It is twelve o'clock AM."
    assert await said("tell me the time", now=AFTERNOON.replace(hour=12, minute=45)) == "It is twelve forty-five PM."


async def test_it_tells_the_date() -> None:
    """With weekday and year."""
    assert await said("What's today's date?") == "Today is Wednesday, March 5, 2031."


@pytest.mark.parametrize("question", ["Hello there!", "Who are you?", "Are you Gemini?", "Sing a song."])
async def test_it_never_poses_as_a_model(question: str) -> None:
    """Whoever greets it, asks for its name or for something it cannot do, is told what it is."""
    assert "not a language model" in await said(question)


@pytest.mark.parametrize("question", ["How do I get a real model?", "Help", "Who are you?", "Sing a song."])
async def test_it_says_how_to_get_a_model(question: str) -> None:
    """Both ways to a real model are named."""
    answer = await said(question)
    assert "GEMINI_API_KEY" in answer
    assert "OPENAI_BASE_URL" in answer


async def test_it_says_what_it_heard() -> None:
    """So that the first try of the pipeline shows whether the recognizer works."""
    assert (await said("Sing  a\nsong.")).startswith("I heard: Sing a song. ")


async def test_it_admits_to_english_only() -> None:
    """A question in another language gets an apology, even if words of it look like a sum."""
    assert "only understand English" in await said("was ist 7 plus 5", language="de")
    assert await said("what is 7 plus 5", language="en-GB") == "Seven plus five is twelve."


async def test_it_needs_no_settings() -> None:
    """It loads with nothing set and tells the real time."""
    engine = load(llm_settings())
    assert (engine.name, engine.model) == ("offline", "built-in")
    prompt = Prompt(text="what time is it", language="en", system="")
    assert (await anext(aiter(engine.answer(prompt)))).startswith("It is ")
    await engine.close()


@pytest.mark.parametrize("question", ["What did I just say?", "what did i ask you", "What was my last question?"])
async def test_it_remembers_what_was_asked(question: str) -> None:
    """The turn right before, of those that it is told."""
    history = (HistoryTurn("hello", "Hello!"), HistoryTurn("what is one plus one", "One plus one is two."))
    assert await said(question, history=history) == "You said: what is one plus one"


@pytest.mark.parametrize("question", ["What did you say?", "Please repeat that.", "say it again"])
async def test_it_remembers_what_it_answered(question: str) -> None:
    """Whoever has not understood asks again."""
    assert await said(question, history=(HistoryTurn("what is one plus one", "Two."),)) == "I said: Two."
    assert await said(question) == "We have not spoken before."
