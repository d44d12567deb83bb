"""Which voice speaks an answer: the caller's, that of its language, or the service's own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from shared.queue.messages import Claim, Outcome, WorkerInfo
from shared.storage.local import LocalStorage
from tts_worker.engine import Speech
from tts_worker.handler import TtsHandler
from tts_worker.settings import TtsSettings

VOICES = "de=de_DE-thorsten-medium, FR = /voices/my voice.onnx"


class Engine:
    """Stands for the engine in its process; notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str | None, str | None]] = []

    async def run(self, _method: Any, _timeout_s: float, _text: str, language: str | None, voice: str | None) -> Speech:
        self.asked.append((language, voice))
        return Speech(np.zeros(100, np.int16), 16_000)


async def speak(engine: Engine, volume: Path, voices: str = VOICES, **fields: str) -> Outcome:
    info = WorkerInfo("tts", "mouth", "own")
    settings = TtsSettings(tts_voices=voices, data_dir=volume)
    handler = TtsHandler(engine, info, LocalStorage(volume), settings)  # type: ignore[arg-type]
    claim = Claim("tts:0:0", "token", 1, "Well.", fields, 0)

    async def record_step(*_: Any) -> None:
        raise AssertionError

    return await handler.handle(claim, record_step)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "voice", "told"),
    [
        ({"language": "de"}, "de_DE-thorsten-medium", "de_DE-thorsten-medium"),
        ({"language": "de-CH"}, "de_DE-thorsten-medium", "de_DE-thorsten-medium"),
        ({"language": "fr"}, "/voices/my voice.onnx", "my voice"),
        ({"language": "en"}, None, "own"),
        ({}, None, "own"),
        ({"language": "de", "voice": "anna"}, "anna", "anna"),
    ],
    ids=["its language's", "of a region", "a file", "no entry", "unknown language", "the caller's"],
)
async def test_the_voice_follows_the_language(
    tmp_path: Path, fields: dict[str, str], voice: str | None, told: str
) -> None:
    """The caller's voice wins, then that of the language in TTS_VOICES, then TTS_VOICE; the job names it, never a
    path."""
    engine = Engine()
    outcome = await speak(engine, tmp_path, **fields)
    assert engine.asked == [(fields.get("language"), voice)]
    assert outcome.fields["model:tts"] == told


@pytest.mark.parametrize("voices", ["de", "de=", "=x", "de=a,,fr=b", "german=a", "de=a,DE=b", ","])
def test_a_map_that_is_none_is_refused(voices: str) -> None:
    """At the start, and in words."""
    with pytest.raises(ValidationError, match=r"must be like de=|names a language twice"):
        TtsSettings(tts_voices=voices)


def test_without_a_map_every_answer_has_the_same_voice() -> None:
    assert TtsSettings().voice_for("de") is None
