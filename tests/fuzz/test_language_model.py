"""What the LLM worker reads and cuts, whatever a server or a recognizer gives it."""

import operator
import time
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from fractions import Fraction
from urllib.parse import urlsplit

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from fakes.llm_settings import llm_settings
from llm_worker.engine import Prompt
from llm_worker.engines.offline.arithmetic import solve, spell
from llm_worker.engines.offline.engine import OfflineEngine
from llm_worker.engines.remote.http_client import read_key, read_url
from llm_worker.handler import LlmHandler
from shared.errors import StartupError
from shared.queue.messages import Claim, Outcome
from shared.text.sentence_splitter import replace_lone_surrogates, split

LONG = 400
NOON = datetime(2031, 3, 5, 12, 0, tzinfo=UTC)

#: Surrogates included: a server that cuts its stream between the halves of an emoji sends them.
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=600)
SENTENCES = st.lists(
    st.sampled_from(
        ["rain", "Mr.", "U.S.", "B", ".", "!", "?", "3.5", "—", "(so)", ",", ";", '"', "'", "…", "e.g.", "www.a.b"]
    )
    | st.text("abcXYZ.,!? \n\t\xa0\u2028", min_size=1, max_size=30),
    max_size=150,
).flatmap(
    lambda words: st.sampled_from([" ", "  ", "\n", "\n\n", "\xa0", "\u3000"]).map(lambda blank: blank.join(words))
)
LANGUAGES = st.sampled_from(["en", "de-AT", "zh", "ja", "th", "hi", "ar", "ru", "xx", ""]) | st.text(max_size=8)


@given(ANY_TEXT | SENTENCES, LANGUAGES)
def test_an_answer_is_cut_without_a_loss(text: str, language: str) -> None:
    """Put together, the pieces are the answer but for its blanks; none is empty, and none too long to wait for."""
    pieces = split(text, language)
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert "".join("".join(pieces).split()) == "".join(whole.split())
    assert all(0 < len(piece) <= LONG for piece in pieces)
    assert all(piece == piece.strip() for piece in pieces)


@given(SENTENCES)
def test_two_words_never_become_one(text: str) -> None:
    """Where the answer has a blank, its pieces have a blank or an end; a word may well be cut, as in `Yes!No!`."""
    parts = iter(" ".join(split(text, "en")).split())
    for word in text.split():
        found = ""
        while len(found) < len(word):
            found += next(parts)
        assert found == word


@pytest.mark.parametrize("unit", ["a", "好", "a ", "a, ", "A. ", "\n", " \n x", "e.g. ", "…", "\n\n- a"])
def test_a_long_answer_is_cut_in_little_time(unit: str) -> None:
    """Nobody else's answer waits long for the loop."""
    started = time.process_time()
    split(unit * (60_000 // len(unit)), "en")
    assert time.process_time() - started < 1


OPERATORS = {"plus": operator.add, "minus": operator.sub, "times": operator.mul, "divided by": operator.truediv}


@given(st.integers(0, 999), st.sampled_from(sorted(OPERATORS)), st.integers(0, 999), st.booleans())
def test_a_sum_is_worked_out(left: int, name: str, right: int, in_words: bool) -> None:
    """In digits or in words, it is what Python makes of it."""
    first, second = (spell(Fraction(number)) if in_words else str(number) for number in (left, right))
    answer = solve(f"How much is {first} {name} {second}?")
    if name == "divided by" and not right:
        assert answer == "I cannot divide by zero."
    else:
        exact = OPERATORS[name](Fraction(left), Fraction(right))
        assert answer is not None
        assert answer.endswith(f" {spell(exact)}.")
        assert (" is about " in answer) == (exact * 100 != int(exact * 100))


@given(st.fractions(-(10**9), 10**9))
def test_a_number_is_spelt_in_letters_or_digits(number: Fraction) -> None:
    """Speakable, and the same number gives the same words whatever its sign."""
    spelt = spell(number)
    assert all(char.isascii() and (char.isalnum() or char in " -.") for char in spelt)
    if round(number * 100) > 0:
        assert spell(-number) == f"minus {spelt}"


# fmt: off
WORDS = st.sampled_from([
    "one", "two", "hundred", "and", "a", "plus", "minus", "times", "divided", "by", "over", "x", "-", "+", "*", "/",
    "to", "for", "ate", "seven", "twenty-one", "3", "1,000", "0.5", "555-1234", "point", "half", "thousand", "zero",
    "²", "٣", "1e9",
])
# fmt: on


@given(st.text(max_size=200) | st.lists(WORDS, max_size=30).map(" ".join))
def test_any_question_has_a_sentence_or_no_sum(question: str) -> None:
    """Nothing that is said makes the arithmetic stumble."""
    answer = solve(question)
    assert answer is None or (answer.endswith(".") and answer[0].isalnum())


@pytest.mark.parametrize("words", ["one plus ", "one ", "a ", "hundred and ", "9", "1,000", "plus ", "one-"])
def test_a_long_question_is_read_in_little_time(words: str) -> None:
    """Ten minutes of talk are no reason to think for long."""
    started = time.process_time()
    solve(words * 4000)
    assert time.process_time() - started < 1


@given(ANY_TEXT, LANGUAGES)
async def test_the_built_in_responder_always_answers(text: str, language: str) -> None:
    """With the same words each time, of which none is empty."""

    async def said() -> list[str]:
        engine = OfflineEngine(clock=lambda: NOON)
        return [piece async for piece in engine.answer(Prompt(text=text, language=language, system=""))]

    pieces = await said()
    assert pieces == await said()
    assert "".join(pieces).strip()
    assert all(piece.strip() for piece in pieces)


@given(st.text(max_size=60) | st.from_regex(r"\s?https?://[^\n]{0,30}\s?", fullmatch=True))
def test_an_address_is_refused_when_it_is_set_or_can_be_called(url: str) -> None:
    """What is accepted has a host, as the client that will use it sees it; the rest is told as a wrong setting."""
    read = refused = ""
    try:
        read = read_url(url, "OPENAI_BASE_URL")
    except StartupError as error:
        refused = error.public_message
    assert not refused or "OPENAI_BASE_URL" in refused
    assert not read or (httpx2.URL(read).host and urlsplit(read).hostname)


@given(st.text(max_size=40))
def test_a_key_is_refused_when_it_is_set_or_fits_a_header(key: str) -> None:
    """What is accepted is sent as it is, and what is refused is not repeated."""
    read = refused = ""
    try:
        read = read_key(SecretStr(key), "GEMINI_API_KEY")
    except StartupError as error:
        refused = error.public_message
    if refused:
        assert refused == "GEMINI_API_KEY has characters that no key contains. Copy it again, without quotes."
        return
    assert read == key.strip()
    assert httpx2.Headers({"x-goog-api-key": read})["x-goog-api-key"] == read


@pytest.mark.parametrize(
    ("answer", "pieces"),
    [
        (
            "It is sunny \ud83d\ude00 today. Put on a hat, please.",
            ["It is sunny \U0001f600 today.", "Put on a hat, please."],
        ),
        ("It is sunny \ud83d today.", ["It is sunny \ufffd today."]),
    ],
)
def test_an_emoji_in_two_halves_is_put_together(answer: str, pieces: list[str]) -> None:
    """A server streamed it in two pieces of JSON, and the job failed; of a lone half, only the half is lost."""
    assert split(replace_lone_surrogates(answer), "en") == pieces


@pytest.mark.parametrize(
    "url", ["http://", "http://[", "https://:8000", "http://a:x", "http://a:99999", "http://a/\x07b"]
)
def test_an_address_without_a_host_is_a_wrong_setting(url: str) -> None:
    """The worker says so when it starts, in place of a stack of its library's."""
    with pytest.raises(StartupError, match="OPENAI_BASE_URL is not a valid URL"):
        read_url(url, "OPENAI_BASE_URL")


async def test_an_answer_in_halves_of_characters_can_be_stored() -> None:
    """What the handler commits is text that Redis and every client can read."""

    class Halves:
        name, model = "halves", "test"

        async def answer(self, prompt: Prompt) -> AsyncGenerator[str, None]:
            for piece in ("It is sunny \ud83d", "\ude00 today. \udc00"):
                yield piece

        async def close(self) -> None:
            pass

    steps: list[Outcome] = []

    async def extend(step: Outcome) -> None:
        steps.append(step)

    fields = {"transcript": "How is the weather?", "language": "en", "route": "stt,llm,tts"}
    steps.append(await LlmHandler(Halves(), llm_settings()).handle(Claim("llm:1", "token", 1, "", fields), extend))
    whole = "It is sunny \U0001f600 today. \ufffd"
    assert steps[-1].fields["response"] == whole
    assert "".join(event.as_dict()["text"] for step in steps for event in step.events) == whole
    assert " ".join(text for step in steps if step.parts for text in step.parts[1]) == "It is sunny today. \ufffd"
