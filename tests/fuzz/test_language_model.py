"""The LLM worker's parsers and splitters on arbitrary input: answers, delays, sums, addresses and keys."""

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

#: The longest segment that a listener may have to wait for, in characters.
MAX_SEGMENT_CHARS = 400
NOON = datetime(2031, 3, 5, 12, 0, tzinfo=UTC)

#: With surrogates, which a server sends that cuts its stream between the halves of an emoji.
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
def test_splitting_an_answer_loses_nothing(text: str, language: str) -> None:
    """The segments of an answer are the answer apart from blanks; none is empty, and none is too long to wait for."""
    segments = split(text, language)
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert "".join("".join(segments).split()) == "".join(whole.split())
    assert all(0 < len(segment) <= MAX_SEGMENT_CHARS for segment in segments)
    assert all(segment == segment.strip() for segment in segments)


@given(SENTENCES)
def test_splitting_an_answer_never_joins_words(text: str) -> None:
    """A blank of the answer is a blank or a border in its segments, although a word such as `Yes!No!` may be split."""
    parts = iter(" ".join(split(text, "en")).split())
    for word in text.split():
        joined = ""
        while len(joined) < len(word):
            joined += next(parts)
        assert joined == word


@pytest.mark.parametrize("unit", ["a", "好", "a ", "a, ", "A. ", "\n", " \n x", "e.g. ", "…", "\n\n- a"])
def test_a_long_answer_is_split_fast(unit: str) -> None:
    """An answer of 60,000 characters without good borders is split within a second, so that it does not block the event
    loop."""
    started = time.process_time()
    split(unit * (60_000 // len(unit)), "en")
    assert time.process_time() - started < 1


OPERATORS = {"plus": operator.add, "minus": operator.sub, "times": operator.mul, "divided by": operator.truediv}


@given(st.integers(0, 999), st.sampled_from(sorted(OPERATORS)), st.integers(0, 999), st.booleans())
def test_a_calculation_is_solved(left: int, name: str, right: int, in_words: bool) -> None:
    """A calculation in digits or in words has the result that Python computes."""
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
    """A spelt number has only speakable characters, and its negative is the same words behind `minus`."""
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
def test_any_question_is_a_calculation_or_none(question: str) -> None:
    """An arbitrary question gets a sentence or no result, and never an exception."""
    answer = solve(question)
    assert answer is None or (answer.endswith(".") and answer[0].isalnum())


@pytest.mark.parametrize("words", ["one plus ", "one ", "a ", "hundred and ", "9", "1,000", "plus ", "one-"])
def test_a_long_question_is_parsed_fast(words: str) -> None:
    """A question of ten minutes of talk is parsed within a second."""
    started = time.process_time()
    solve(words * 4000)
    assert time.process_time() - started < 1


@given(ANY_TEXT, LANGUAGES)
async def test_the_offline_engine_always_answers(text: str, language: str) -> None:
    """The offline engine has an answer to any text, the same each time, without empty parts."""

    async def answer() -> list[str]:
        engine = OfflineEngine(clock=lambda: NOON)
        return [part async for part in engine.answer(Prompt(text=text, language=language, system=""))]

    parts = await answer()
    assert parts == await answer()
    assert "".join(parts).strip()
    assert all(part.strip() for part in parts)


@given(st.text(max_size=60) | st.from_regex(r"\s?https?://[^\n]{0,30}\s?", fullmatch=True))
def test_an_accepted_address_has_a_host(url: str) -> None:
    """An OPENAI_BASE_URL is refused by the variable's name, or has a host in the eyes of the HTTP client that will use
    it."""
    address = ""
    refusal = ""
    try:
        address = read_url(url, "OPENAI_BASE_URL")
    except StartupError as error:
        refusal = error.public_message
    assert not refusal or "OPENAI_BASE_URL" in refusal
    assert not address or (httpx2.URL(address).host and urlsplit(address).hostname)


@given(st.text(max_size=40))
def test_an_accepted_key_fits_a_header(key: str) -> None:
    """A GEMINI_API_KEY is refused without being repeated, or fits an HTTP header as it is."""
    accepted = ""
    refusal = ""
    try:
        accepted = read_key(SecretStr(key), "GEMINI_API_KEY")
    except StartupError as error:
        refusal = error.public_message
    if refusal:
        assert refusal == "GEMINI_API_KEY has characters that no key contains. Copy it again, without quotes."
        return
    assert accepted == key.strip()
    assert httpx2.Headers({"x-goog-api-key": accepted})["x-goog-api-key"] == accepted


@pytest.mark.parametrize(
    ("answer", "segments"),
    [
        (
            "It is sunny \ud83d\ude00 today. Put on a hat, please.",
            ["It is sunny \U0001f600 today.", "Put on a hat, please."],
        ),
        ("It is sunny \ud83d today.", ["It is sunny \ufffd today."]),
    ],
)
def test_the_halves_of_an_emoji_are_joined(answer: str, segments: list[str]) -> None:
    """Two surrogates that a server streamed in separate JSON strings become one emoji, and a lone one becomes
    U+FFFD."""
    assert split(replace_lone_surrogates(answer), "en") == segments


@pytest.mark.parametrize(
    "url", ["http://", "http://[", "https://:8000", "http://a:x", "http://a:99999", "http://a/\x07b"]
)
def test_an_address_without_a_host_is_a_wrong_setting(url: str) -> None:
    """An address that cannot be called is refused at startup by the variable's name, instead of by a library's
    traceback."""
    with pytest.raises(StartupError, match="OPENAI_BASE_URL is not a valid URL"):
        read_url(url, "OPENAI_BASE_URL")


async def test_an_answer_with_surrogates_can_be_stored() -> None:
    """An answer streamed with halves of characters is committed as text that Redis and every client can read."""

    class SurrogateEngine:
        name = "surrogates"
        model = "test"

        async def answer(self, prompt: Prompt) -> AsyncGenerator[str, None]:
            for part in ("It is sunny \ud83d", "\ude00 today. \udc00"):
                yield part

        async def close(self) -> None:
            pass

    steps: list[Outcome] = []

    async def commit_partial(step: Outcome) -> None:
        steps.append(step)

    fields = {"transcript": "How is the weather?", "language": "en", "route": "stt,llm,tts"}
    claim = Claim("llm:1", "token", 1, "", fields)
    steps.append(await LlmHandler(SurrogateEngine(), llm_settings()).handle(claim, commit_partial))
    whole = "It is sunny \U0001f600 today. \ufffd"
    assert steps[-1].fields["response"] == whole
    assert "".join(event.as_dict()["text"] for step in steps for event in step.events) == whole
    assert " ".join(text for step in steps if step.parts for text in step.parts[1]) == "It is sunny today. \ufffd"
