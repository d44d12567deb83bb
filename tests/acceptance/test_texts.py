"""Texts in and out, and memory, with the embedded engines."""

import io
import wave

import pytest

from support.redis_server import RedisServer
from support.services import QUESTION, ServiceProcesses

pytestmark = pytest.mark.redis

SENTENCE = QUESTION.with_suffix(".txt").read_text().strip()


@pytest.fixture(scope="module")
def embedded(tmp_path_factory, redis_for_all: RedisServer):
    """Workers that need no key and no download."""
    data_dir = tmp_path_factory.mktemp("texts") / "volume"
    data_dir.mkdir()
    engines = {"STT_ENGINE": "pocketsphinx", "LLM_ENGINE": "offline", "TTS_ENGINE": "espeak", "RATE_LIMIT": "off"}
    services = ServiceProcesses(redis_for_all.url, data_dir, **engines)
    services.start()
    services.wait_until_ready()
    yield services
    services.stop()


def post(services: ServiceProcesses, path: str, **body: str) -> dict:
    answer = services.client.post(path, json=body)
    assert answer.status_code == 202, answer.text
    return services.ended(answer.json()["job_id"])


def seconds(services: ServiceProcesses, job: dict) -> float:
    audio = services.client.get(job["audio_url"])
    assert audio.status_code == 200
    with wave.open(io.BytesIO(audio.content)) as file:
        return file.getnframes() / file.getframerate()


def events(services: ServiceProcesses, job: dict) -> list[str]:
    stream = services.client.get(f"/events/{job['job_id']}").text
    return [line.removeprefix("event: ") for line in stream.splitlines() if line.startswith("event: ")]


def test_a_spoken_conversation_goes_on_in_writing(embedded):
    """What was said aloud is known when it is asked for, and the answer to that is spoken in the voice of the first."""
    first = embedded.ended(embedded.upload(conversation_id="kitchen", voice="en-gb"))
    assert "twelve" in first["response"].lower()
    second = post(embedded, "/ask", text="What did I just say?", conversation_id="kitchen")
    assert second["response"] == f"You said: {SENTENCE}"
    assert seconds(embedded, second) > 1
    told = embedded.client.get("/conversations/kitchen").json()
    assert (told["language"], told["voice"], len(told["turns"])) == ("en", "en-gb", 2)


def test_a_written_question_is_answered_in_speech(embedded):
    """No recording, no recognizer."""
    job = post(embedded, "/ask", text="What is seven plus five?", language="en")
    assert (job["status"], job["response"]) == ("completed", "Seven plus five is twelve.")
    assert set(job["timings"]["stages"]) == {"llm", "tts"}
    assert seconds(embedded, job) == pytest.approx(job["duration_s"], abs=0.01)


def test_a_text_is_spoken(embedded):
    """In several segments, the first of which can be heard early; what is joined is all of them."""
    text = "Dinner is **ready**, and it is still hot. Come and eat with us. Bring a chair from the kitchen."
    job = post(embedded, "/speak", text=text)
    assert (job["status"], job["response"], set(job["engines"])) == ("completed", text, {"tts"})
    assert job["timings"]["first_audio_s"] <= job["timings"]["total_s"]
    told = events(embedded, job)
    assert (told.count("segment") >= 3, "stage_done" in told, told[-1]) == (True, False, "completed")
    assert 3 < seconds(embedded, job) < 12


def test_a_text_that_cannot_be_spoken_is_tried_again(embedded):
    """It fails with a reason, keeps no file, and can be revived, though no recording belongs to it."""
    job = post(embedded, "/speak", text="Dinner is ready.", voice="nobody")
    assert (job["status"], job["error"]["code"]) == ("failed", "unknown_voice")
    assert embedded.client.post(f"/jobs/{job['job_id']}/retry").status_code == 202
    assert embedded.ended(job["job_id"])["error"]["code"] == "unknown_voice"
    assert not [name for name in embedded.files() if job["job_id"] in name]


@pytest.mark.parametrize(("route", "answer"), [("stt", None), ("stt,llm", "Seven plus five is twelve.")])
def test_a_recording_becomes_text_alone(embedded, route, answer):
    """The job ends where its route does, and no sound is made."""
    with QUESTION.open("rb") as file:
        accepted = embedded.client.post("/transcribe", params={"route": route}, files={"audio_file": file}).json()
    assert accepted["audio_url"] is None
    job = embedded.ended(accepted["job_id"])
    assert (job["status"], job["transcript"], job["response"]) == ("completed", SENTENCE, answer)
    assert (job["audio_url"], set(job["engines"])) == (None, set(route.split(",")))
    assert events(embedded, job)[-1] == "completed"
    assert embedded.client.get(f"/audio/{job['job_id']}").json()["code"] == "no_audio"
    assert [name for name in embedded.files() if job["job_id"] in name] == [f"input/{job['job_id']}"]
