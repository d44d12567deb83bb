"""Cutting a text that comes whole."""

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


def test_a_text_is_cut_at_its_sentences() -> None:
    """What is short comes first, so that it is heard early; Markdown is read as a person would."""
    text = "# Our dinner tonight\n\nIt is **ready** for all, and it is still hot. Come and eat.\n\n- Bring a chair."
    assert SpeechText("en").finish(text) == [
        "Our dinner tonight",
        "It is ready for all, and it is still hot.",
        "Come and eat.",
        "Bring a chair.",
    ]


@pytest.mark.parametrize("text", ["🙂🙂", "```\ncode\n```", "...", "-"])
def test_what_has_no_words_is_spelled_out(text: str) -> None:
    """Better than silence: somebody asked for it."""
    assert SpeechText("").finish(text) == [" ".join(text.split())]


@given(st.text(min_size=1, max_size=300).filter(str.strip), st.sampled_from(["en", "zh", "xx", ""]))
def test_there_is_always_something_to_say(text: str, language: str) -> None:
    """A job without parts would have nothing to join."""
    pieces = SpeechText(language).finish(text)
    assert pieces
    assert all(pieces)


async def test_a_task_without_a_part_cuts_its_jobs_text(tmp_path) -> None:
    """No engine is needed for it, and no stage is done by it."""
    process = cast("EngineProcess[TtsEngine]", None)
    handler = TtsHandler(
        process, WorkerInfo("tts", "fake", "fake"), LocalStorage(tmp_path), TtsSettings(_env_file=None)
    )

    async def record_step(_outcome: Outcome) -> None:
        raise AssertionError

    fields = {"response": "Come here, please. Dinner is ready.", "language": "en"}
    outcome = await handler.handle(Claim("tts:a", "token", 1, "", fields), record_step)
    assert outcome == Outcome(parts=("tts", ["Come here, please.", "Dinner is ready."]))
