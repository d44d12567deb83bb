"""faster-whisper, the model clients and Piper with tiny real models, through the whole stack."""

import json
import re
import wave
from collections.abc import Iterator

import numpy as np
import pytest

from fakes import gemini_server, openai_server
from fakes.gemini_server import GeminiServer
from fakes.model_server import ModelServer
from fakes.openai_server import OpenAiServer
from support.redis_server import RedisServer
from support.services import TESTS, ServiceProcesses, run_services

pytestmark = [pytest.mark.redis, pytest.mark.models]

MODELS = TESTS / "speech_models"
SAMPLES = MODELS / "samples"
SENTENCES: dict[str, str] = json.loads((SAMPLES / "sentences.json").read_text())
ANSWER = ("Seven plus five is twelve. ", "That was an easy one. ", "Ask me something harder.")
ENGINES = {
    "LLM_ENGINE": "auto",
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
    server: ModelServer
    if request.param == "openai":
        server = OpenAiServer("")
        server.reply_with(openai_server.answer(*ANSWER))
    else:
        server = GeminiServer("key-123")
        server.reply_with(gemini_server.answer(*ANSWER))
    with server:
        if request.param == "openai":
            address = {"OPENAI_BASE_URL": f"{server.url}/v1", "GEMINI_API_KEY": ""}
        else:
            address = {"GEMINI_BASE_URL": server.url, "GEMINI_API_KEY": "key-123"}
        data_dir = tmp_path_factory.mktemp(request.param) / "volume"
        with run_services(redis_for_all.url, data_dir, **ENGINES, **address) as services:
            yield services


def test_real_engines_answer_a_spoken_question(services, request):
    """A recording is transcribed to the word, and the model's whole answer is synthesized, sentence by sentence."""
    model = request.node.callspec.params["services"]
    assert services.client.get("/readyz").json()["stages"]["llm"]["warnings"] == []
    for sample, fields, strategy in (
        ("how-much-is-seven-plus-five.webm", {}, "full"),
        ("how-much-is-seven-plus-five.m4a", {"language": "en"}, "short_8"),
        ("set-a-timer-for-ten-minutes.wav", {"language": "en-US"}, "short_8"),
    ):
        job = services.wait_until_ended(services.upload(SAMPLES / sample, **fields))
        assert job["timings"]["stages"]["stt"]["strategy"] == strategy
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
