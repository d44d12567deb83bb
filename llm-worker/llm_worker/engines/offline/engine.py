"""Answers without a language model, to try the pipeline with no key and no download."""

import re
from collections.abc import AsyncGenerator, Callable
from datetime import datetime
from fractions import Fraction

from llm_worker.engine import Prompt
from llm_worker.engines.offline.arithmetic import solve, spell
from llm_worker.settings import LlmSettings

Clock = Callable[[], datetime]

_INSTRUCTIONS = (
    "For real answers, set GEMINI_API_KEY, or OPENAI_BASE_URL to a server such as Ollama, and start me again."
)
_IDENTITY = "I am the small responder that is built into this service. I am not a language model."
_ABILITIES = "All I can do is tell the time and the date, do simple sums, and remember what we just said."

_GREETING = re.compile(r"^(?:hi|hello|hey|good (?:morning|afternoon|evening|day))\b")
_TIME_QUESTION = re.compile(r"\b(?:what time|the time|time is it|time it is)\b")
_DATE_QUESTION = re.compile(r"\b(?:what day|what date|the date|todays date|day is it|date is it|day is today)\b")
_IDENTITY_QUESTION = re.compile(
    r"\b(?:who are you|what are you|your name|are you (?:a|an|real|human|gemini|chat ?gpt))\b"
)
_ABILITIES_QUESTION = re.compile(
    r"\b(?:help|what can you do|what do you do)\b"
    r"|\b(?:real|better|language|another|different) model\b|\bgemini\b|\bopenai\b|\bollama\b|\bapi key\b"
)
_USER_RECALL_QUESTION = re.compile(
    r"\bwhat (?:did |have |had )?i (?:just )?(?:say|said|ask|asked|tell|told)\b"
    r"|\bmy (?:last|previous) (?:question|words)\b"
)
_REPLY_RECALL_QUESTION = re.compile(
    r"\bwhat (?:did |have |had )?you (?:just )?(?:say|said|answer|answered|tell|told)\b"
    r"|\byour (?:last|previous) (?:answer|words)\b|\brepeat (?:that|it|your)\b|\bsay (?:that|it) again\b"
)


def _local_time() -> datetime:
    return datetime.now().astimezone()


class OfflineEngine:
    """Deterministic responder: the same prompt at the same time always gets the same reply."""

    name = "offline"
    model = "built-in"

    def __init__(self, clock: Clock = _local_time) -> None:
        self._clock = clock

    async def answer(self, prompt: Prompt) -> AsyncGenerator[str, None]:
        """Yield the reply sentence by sentence, as a model would."""
        sentences = self._sentences(prompt)
        for number, sentence in enumerate(sentences):
            yield sentence if number == 0 else f" {sentence}"

    async def close(self) -> None:
        """Do nothing: it has no connections."""

    def _sentences(self, prompt: Prompt) -> list[str]:
        if prompt.language.split("-")[0].lower() not in ("", "en"):
            return ["I am sorry, without a language model I only understand English.", _INSTRUCTIONS]
        words = re.sub(r"[^\w\s]", "", prompt.text.lower()).strip()
        if (result := solve(prompt.text)) is not None:
            return [result]
        if _USER_RECALL_QUESTION.search(words) or _REPLY_RECALL_QUESTION.search(words):
            return [_quote_last_turn(prompt, of_user=_USER_RECALL_QUESTION.search(words) is not None)]
        if _TIME_QUESTION.search(words):
            return [_time_sentence(self._clock())]
        if _DATE_QUESTION.search(words):
            return [_date_sentence(self._clock())]
        if _IDENTITY_QUESTION.search(words):
            return [_IDENTITY, _ABILITIES, _INSTRUCTIONS]
        if _ABILITIES_QUESTION.search(words):
            return [_ABILITIES, _INSTRUCTIONS]
        if _GREETING.search(words):
            return ["Hello!", _IDENTITY, "Ask me for the time, or for seven plus five."]
        transcript = " ".join(prompt.text.split()).rstrip(".?!")
        return [f"I heard: {transcript}.", _IDENTITY, _ABILITIES, _INSTRUCTIONS]


def load(settings: LlmSettings) -> OfflineEngine:
    """Build the engine named `offline`."""
    del settings  # it has none; the signature is every engine's
    return OfflineEngine()


def _quote_last_turn(prompt: Prompt, *, of_user: bool) -> str:
    if not prompt.history:
        return "We have not spoken before."
    turn = prompt.history[-1]
    return f"You said: {turn.user}" if of_user else f"I said: {turn.assistant}"


def _time_sentence(now: datetime) -> str:
    hour = spell(Fraction((now.hour - 1) % 12 + 1))
    half = "AM" if now.hour < 12 else "PM"
    if now.minute == 0:
        return f"It is {hour} o'clock {half}."
    minute = spell(Fraction(now.minute))
    return f"It is {hour} {minute if now.minute >= 10 else 'oh ' + minute} {half}."


def _date_sentence(now: datetime) -> str:
    return f"Today is {now:%A}, {now:%B} {now.day}, {now.year}."
