"""Choice of the voice: the request's, that of the language, or the default."""

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


class FakeProcess:
    """Replaces the engine's process; records the requests."""

    def __init__(self) -> None:
        self.requests: list[tuple[str | None, str | None]] = []

    async def run(self, _method: Any, _timeout_s: float, _text: str, language: str | None, voice: str | None) -> Speech:
        self.requests.append((language, voice))
        return Speech(np.zeros(100, np.int16), 16_000)


async def synthesize(process: FakeProcess, volume: Path, voices: str = VOICES, **fields: str) -> Outcome:
    info = WorkerInfo("tts", "mouth", "own")
    settings = TtsSettings(tts_voices=voices, data_dir=volume)
    handler = TtsHandler(process, info, LocalStorage(volume), settings)  # type: ignore[arg-type]
    claim = Claim("tts:0:0", "token", 1, "Well.", fields, 0)

    async def record_step(*_: Any) -> None:
        raise AssertionError

    return await handler.handle(claim, record_step)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "voice", "reported"),
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
async def test_voice_follows_the_language(
    tmp_path: Path, fields: dict[str, str], voice: str | None, reported: str
) -> None:
    """The request's voice is used, else that of the language in TTS_VOICES, else TTS_VOICE; the job names it without a
    path."""
    process = FakeProcess()
    outcome = await synthesize(process, tmp_path, **fields)
    assert process.requests == [(fields.get("language"), voice)]
    assert outcome.fields["model:tts"] == reported


@pytest.mark.parametrize("voices", ["de", "de=", "=x", "de=a,,fr=b", "german=a", "de=a,DE=b", ","])
def test_invalid_voice_map_is_rejected(voices: str) -> None:
    """An invalid TTS_VOICES stops the start with a message that explains the format."""
    with pytest.raises(ValidationError, match=r"must be like de=|names a language twice"):
        TtsSettings(tts_voices=voices)


def test_no_language_has_a_voice_by_default() -> None:
    assert TtsSettings().voice_for("de") is None
