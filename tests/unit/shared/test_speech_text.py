"""Segments of a Markdown text, and of a job without an LLM stage."""

from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.queue.messages import Claim, Outcome, WorkerInfo
from shared.storage.local import LocalStorage
from shared.text.speech_text import SpeechText
from shared.worker.engine_process import EngineProcess
from tts_worker.engine import TtsEngine
from tts_worker.handler import TtsHandler
from tts_worker.settings import TtsSettings


def test_whole_text_is_split_into_sentences() -> None:
    """A Markdown text becomes segments of plain text, of which the first is short enough to be played early."""
    text = "# Our dinner tonight\n\nIt is **ready** for all, and it is still hot. Come and eat.\n\n- Bring a chair."
    assert SpeechText("en").finish(text) == [
        "Our dinner tonight",
        "It is ready for all, and it is still hot.",
        "Come and eat.",
        "Bring a chair.",
    ]


@pytest.mark.parametrize("text", ["🙂🙂", "```\ncode\n```", "...", "-"])
def test_text_without_words_is_kept(text: str) -> None:
    """A text of emoji, code or punctuation alone is its own segment: the caller asked for its speech."""
    assert SpeechText("").finish(text) == [" ".join(text.split())]


@given(st.text(min_size=1, max_size=300).filter(str.strip), st.sampled_from(["en", "zh", "xx", ""]))
def test_any_text_has_a_segment(text: str, language: str) -> None:
    """Any text that is not blank has a segment, and none is empty: a job without parts could not be joined."""
    segments = SpeechText(language).finish(text)
    assert segments
    assert all(segments)


@given(st.text(max_size=200), st.integers(1, 50))
def test_chunks_have_the_same_words_as_the_whole_text(text: str, size: int) -> None:
    """A text that is pushed in chunks has the same words as the whole text, in the same order."""
    streamed = SpeechText("en")
    segments = [segment for start in range(0, len(text), size) for segment in streamed.push(text[start : start + size])]
    segments += streamed.finish()
    assert "".join("".join(segments).split()) == "".join("".join(SpeechText("en").finish(text)).split())


async def test_task_without_a_part_splits_the_text(tmp_path) -> None:
    """A TTS task without a part splits the job's text into parts without the engine."""
    process = cast("EngineProcess[TtsEngine]", None)
    handler = TtsHandler(
        process, WorkerInfo("tts", "fake", "fake"), LocalStorage(tmp_path), TtsSettings(_env_file=None)
    )

    async def record_step(_outcome: Outcome) -> None:
        raise AssertionError

    fields = {"response": "Come here, please. Dinner is ready.", "language": "en"}
    outcome = await handler.handle(Claim("tts:a", "token", 1, "", fields), record_step)
    assert outcome == Outcome(parts=("tts", ["Come here, please.", "Dinner is ready."]))
