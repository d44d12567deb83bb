"""The service as its user meets it, with the embedded engines and with bad input."""

import struct
import wave
from pathlib import Path

import pytest

from support.redis_server import RedisServer
from support.services import QUESTION, ServiceProcesses

pytestmark = pytest.mark.redis

SENTENCE = QUESTION.with_suffix(".txt").read_text().strip()


@pytest.fixture(scope="module")
def embedded(tmp_path_factory, redis_for_all: RedisServer):
    """Workers that need no key and no download."""
    data_dir = tmp_path_factory.mktemp("embedded") / "volume"
    data_dir.mkdir()
    engines = {"STT_ENGINE": "pocketsphinx", "LLM_ENGINE": "auto", "TTS_ENGINE": "espeak"}
    keys = {"GEMINI_API_KEY": "", "OPENAI_BASE_URL": "", "STT_MAX_AUDIO_S": "60"}
    services = ServiceProcesses(redis_for_all.url, data_dir, **engines, **keys)
    services.start()
    services.wait_until_ready()
    yield services
    services.stop()


def test_a_spoken_question_gets_a_spoken_answer(embedded):
    """What was said is heard, answered and spoken, and the status names who did it."""
    job = embedded.ended(embedded.upload())
    assert job["status"] == "completed"
    assert job["transcript"] == SENTENCE
    assert "twelve" in job["response"].lower()
    assert {stage: engine["engine"] for stage, engine in job["engines"].items()} == {
        "stt": "pocketsphinx",
        "llm": "offline",
        "tts": "espeak",
    }
    audio = embedded.client.get(job["audio_url"])
    assert audio.headers["content-type"] == "audio/wav"
    assert audio.content == (embedded.data_dir / "output" / f"{job['job_id']}_response.wav").read_bytes()
    part = embedded.client.get(job["audio_url"], headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, audio.content[100:200])


def test_readiness_warns_that_no_model_is_configured(embedded):
    """The offline responder never passes for a language model."""
    stages = embedded.client.get("/readyz").json()["stages"]
    assert stages["llm"]["engines"] == [{"engine": "offline", "model": "built-in", "workers": 1}]
    assert "GEMINI_API_KEY" in stages["llm"]["warnings"][0]


def wav(seconds: float) -> bytes:
    """Digital silence: a header and zeros."""
    data = bytes(int(seconds * 16_000) * 2)
    head = (
        b"RIFF"
        + struct.pack("<I", 36 + len(data))
        + b"WAVEfmt "
        + struct.pack("<IHHIIHH", 16, 1, 1, 16000, 32000, 2, 16)
    )
    return head + b"data" + struct.pack("<I", len(data)) + data


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(wav(3), "no_speech", id="silence"),
        pytest.param(wav(0), "empty_audio", id="no samples"),
        pytest.param(wav(61), "audio_too_long", id="too long"),
        pytest.param(b"RIFF\0\0\0\0WAVE" + b"garbage " * 50, "undecodable_audio", id="garbage"),
    ],
)
def test_audio_that_cannot_be_served_fails_with_its_code(embedded, tmp_path, content, code):
    """The reason has a stable word, the worker lives, and the next good job is served."""
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    job = embedded.ended(embedded.upload(path))
    assert (job["status"], job["error"]["code"]) == ("failed", code)
    assert str(embedded.data_dir) not in str(job)
    answer = embedded.client.get(f"/audio/{job['job_id']}")
    assert (answer.status_code, answer.json()["code"]) == (410, "no_audio")
    assert embedded.ended(embedded.upload())["status"] == "completed"
    assert embedded.processes["stt"].poll() is None


def test_ninety_minutes_are_refused_before_they_are_decoded(embedded, tmp_path):
    """A long recording costs no more than a look at its header."""
    path = tmp_path / "long.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(4000)
        file.writeframes(b"\x80" * (4000 * 5400))
    job = embedded.ended(embedded.upload(path))
    assert (job["status"], job["error"]["code"]) == ("failed", "audio_too_long")
    assert job["timings"]["stages"]["stt"]["worked_s"] is None


def test_an_unknown_voice_and_a_foreign_language_are_told(embedded):
    """What the engines cannot do is an error of the request, not of the service."""
    assert embedded.ended(embedded.upload(voice="nobody"))["error"]["code"] == "unknown_voice"
    assert embedded.ended(embedded.upload(language="fr"))["error"]["code"] == "unsupported_language"


def test_a_deleted_job_leaves_nothing(embedded):
    """Text and audio are gone, from the volume too."""
    job = embedded.ended(embedded.upload())
    assert embedded.client.delete(f"/jobs/{job['job_id']}").status_code == 204
    assert embedded.client.get(f"/status/{job['job_id']}").status_code == 404
    assert not [name for name in embedded.files() if job["job_id"] in name]


@pytest.mark.parametrize(
    ("module", "settings", "variable"),
    [
        ("stt_worker", {"STT_ENGINE": "nonsense"}, "STT_ENGINE"),
        ("stt_worker", {"STT_ENGINE": "faster-whisper", "STT_MODEL": "./no/such/model"}, "STT_MODEL"),
        ("llm_worker", {"LLM_ENGINE": "gemini", "GEMINI_API_KEY": ""}, "GEMINI_API_KEY"),
        ("llm_worker", {"LLM_ENGINE": "openai", "OPENAI_BASE_URL": ""}, "OPENAI_BASE_URL"),
        ("tts_worker", {"TTS_ENGINE": "piper", "TTS_VOICE": "./no/such/voice.onnx"}, "TTS_VOICE"),
        ("stt_worker", {"MAX_ATTEMPTS": "none"}, "MAX_ATTEMPTS"),
        ("tts_worker", {"REDIS_URL": "localhost:6379"}, "REDIS_URL"),
        ("api", {"REDIS_URL": "localhost:6379"}, "REDIS_URL"),
        ("api", {"DATA_DIR": "/proc/nowhere"}, "DATA_DIR"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(redis_for_all, tmp_path, module, settings, variable):
    """A process that cannot start says which variable to set, and exits with an error."""
    data_dir = tmp_path / "volume"
    data_dir.mkdir()
    services = ServiceProcesses(redis_for_all.url, data_dir, **settings)
    name = module.removesuffix("_worker")
    services.start(name)
    assert services.processes.pop(name).wait(60) == 2
    lines = (tmp_path / f"{name}.log").read_text().splitlines()
    assert len(lines) == 1
    assert variable in lines[0]
    assert "Traceback" not in lines[0]
    services.stop()


def test_a_missing_volume_file_is_told(embedded):
    """A worker that does not see the upload says so, rather than failing in the dark."""
    job_id = None
    worker = embedded.processes["stt"]
    worker.send_signal(19)  # SIGSTOP: the upload disappears before the worker looks
    try:
        job_id = embedded.upload()
        Path(embedded.data_dir / "input" / job_id).unlink()
    finally:
        worker.send_signal(18)
    assert embedded.ended(job_id)["error"]["code"] == "input_missing"
