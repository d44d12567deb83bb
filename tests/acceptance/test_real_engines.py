"""faster-whisper, the model clients and Piper, for real, through the queue, end to end."""

import json
import re
import wave
from collections.abc import Iterator

import numpy as np
import pytest

from fakes import gemini_server, openai_server
from fakes.gemini_server import GeminiServer
from fakes.openai_server import OpenAiServer
from support.redis_server import RedisServer
from support.services import TESTS, ServiceProcesses

pytestmark = [pytest.mark.redis, pytest.mark.models]

MODELS = TESTS / "speech_models"
SAMPLES = MODELS / "samples"
SENTENCES: dict[str, str] = json.loads((SAMPLES / "sentences.json").read_text())
ANSWER = ("Seven plus five is twelve. ", "That was an easy one. ", "Ask me something harder.")
ENGINES = {
    "STT_ENGINE": "faster-whisper",
    "STT_MODEL": str(MODELS / "tiny-whisper"),
    "TTS_ENGINE": "piper",
    "TTS_VOICE": str(MODELS / "tiny-piper" / "en_US-fixture-low.onnx"),
}


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


@pytest.fixture(params=["openai", "gemini"])
def services(
    request: pytest.FixtureRequest, redis_for_all: RedisServer, tmp_path_factory
) -> Iterator[ServiceProcesses]:
    data_dir = tmp_path_factory.mktemp(request.param) / "volume"
    data_dir.mkdir()
    if request.param == "openai":
        with OpenAiServer("") as server:
            server.reply_with(openai_server.answer(*ANSWER))
            address = {"OPENAI_BASE_URL": f"{server.url}/v1", "GEMINI_API_KEY": ""}
            yield from _running(ServiceProcesses(redis_for_all.url, data_dir, **ENGINES, LLM_ENGINE="auto", **address))
    else:
        with GeminiServer("key-123") as server:
            server.reply_with(gemini_server.answer(*ANSWER))
            address = {"GEMINI_BASE_URL": server.url, "GEMINI_API_KEY": "key-123"}
            yield from _running(ServiceProcesses(redis_for_all.url, data_dir, **ENGINES, LLM_ENGINE="auto", **address))


def _running(services: ServiceProcesses) -> Iterator[ServiceProcesses]:
    services.start()
    services.wait_until_ready()
    yield services
    services.stop()


def test_real_engines_answer_a_spoken_question(services, request):
    """What was said is heard to the word, the model's answer arrives whole, and Piper speaks all of it."""
    model = request.node.callspec.params["services"]
    assert services.client.get("/readyz").json()["stages"]["llm"]["warnings"] == []
    for sample, told, path in (
        ("how-much-is-seven-plus-five.webm", {}, "full"),
        ("how-much-is-seven-plus-five.m4a", {"language": "en"}, "short_8"),
        ("set-a-timer-for-ten-minutes.wav", {"language": "en-US"}, "short_8"),
    ):
        job = services.ended(services.upload(SAMPLES / sample, **told))
        assert job["timings"]["stages"]["stt"]["path"] == path
        assert job["status"] == "completed", (job, services.logs())
        assert words(job["transcript"]) == words(SENTENCES[sample])
        assert job["language"] == "en"
        assert job["response"] == "".join(ANSWER)
        assert {stage: engine["engine"] for stage, engine in job["engines"].items()} == {
            "stt": "faster-whisper",
            "llm": model,
            "tts": "piper",
        }
        assert job["attempts"]["tts"] == len(ANSWER) + 1  # a task for each sentence, and their join
        with wave.open(str(services.data_dir / job["audio_path"])) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        assert job["duration_s"] > 3
        assert np.sqrt(np.mean(samples.astype(np.float64) ** 2)) > 300
