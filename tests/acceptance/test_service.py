"""The whole service with the embedded engines, with good and bad input."""

import signal
import struct
import wave
from pathlib import Path

import pytest

from support.cli_process import SENTENCE
from support.services import ServiceProcesses

pytestmark = pytest.mark.redis


def test_spoken_question_gets_a_spoken_answer(embedded):
    """A recording is transcribed, answered and synthesized, and the status names the engine of each stage."""
    job = embedded.wait_until_ended(embedded.upload())
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
    ranged = embedded.client.get(job["audio_url"], headers={"Range": "bytes=100-199"})
    assert (ranged.status_code, ranged.content) == (206, audio.content[100:200])


def test_readiness_warns_that_no_model_is_configured(embedded):
    """Readiness lists the offline engine with a warning that names GEMINI_API_KEY."""
    stages = embedded.client.get("/readyz").json()["stages"]
    assert stages["llm"]["engines"] == [{"engine": "offline", "model": "built-in", "workers": 1}]
    assert "GEMINI_API_KEY" in stages["llm"]["warnings"][0]


def silent_wav(seconds: float) -> bytes:
    """A WAV file of digital silence."""
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
        pytest.param(silent_wav(3), "no_speech", id="silence"),
        pytest.param(silent_wav(0), "empty_audio", id="no samples"),
        pytest.param(silent_wav(61), "audio_too_long", id="too long"),
        pytest.param(b"RIFF\0\0\0\0WAVE" + b"garbage " * 50, "undecodable_audio", id="garbage"),
    ],
)
def test_job_with_unusable_audio_fails_with_a_code(embedded, tmp_path, content, code):
    """Unusable audio fails its job with a stable code, and the same worker serves the next job."""
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    job = embedded.wait_until_ended(embedded.upload(path))
    assert (job["status"], job["error"]["code"]) == ("failed", code)
    assert str(embedded.data_dir) not in str(job)
    response = embedded.client.get(f"/audio/{job['job_id']}")
    assert (response.status_code, response.json()["code"]) == (410, "no_audio")
    assert embedded.wait_until_ended(embedded.upload())["status"] == "completed"
    assert embedded.processes["stt"].poll() is None


def test_recording_of_ninety_minutes_is_refused_before_it_is_decoded(embedded, tmp_path):
    """A recording whose header states too long a duration fails its job without a call of the engine."""
    path = tmp_path / "long.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(4000)
        file.writeframes(b"\x80" * (4000 * 5400))
    job = embedded.wait_until_ended(embedded.upload(path))
    assert (job["status"], job["error"]["code"]) == ("failed", "audio_too_long")
    assert job["timings"]["stages"]["stt"]["worked_s"] is None


def test_unknown_voice_or_language_fails_the_job_with_a_code(embedded):
    """A voice or a language that the engines lack fails the job with a code of its own."""
    assert embedded.wait_until_ended(embedded.upload(voice="no-such-voice"))["error"]["code"] == "unknown_voice"
    assert embedded.wait_until_ended(embedded.upload(language="fr"))["error"]["code"] == "unsupported_language"


def test_deleted_job_leaves_no_data(embedded):
    """A deleted job is unknown to the API, and has no file on the volume."""
    job = embedded.wait_until_ended(embedded.upload())
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
def test_process_with_an_invalid_setting_exits_with_one_line(redis_for_all, tmp_path, module, settings, variable):
    """A process with an invalid setting logs one line that names the variable, and exits with 2."""
    services = ServiceProcesses(redis_for_all.url, tmp_path / "volume", **settings)
    name = module.removesuffix("_worker")
    services.start(name)
    assert services.processes.pop(name).wait(60) == 2
    lines = (tmp_path / f"{name}.log").read_text().splitlines()
    assert len(lines) == 1
    assert variable in lines[0]
    assert "Traceback" not in lines[0]
    services.stop()


def test_missing_recording_fails_the_job_with_a_code(embedded):
    """A job whose recording is missing from the volume fails with `input_missing`."""
    job_id = None
    worker = embedded.processes["stt"]
    worker.send_signal(signal.SIGSTOP)  # so that the recording is removed before the worker opens it
    try:
        job_id = embedded.upload()
        Path(embedded.data_dir / "input" / job_id).unlink()
    finally:
        worker.send_signal(signal.SIGCONT)
    assert embedded.wait_until_ended(job_id)["error"]["code"] == "input_missing"
