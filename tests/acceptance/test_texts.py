"""Written questions, texts to synthesize and transcripts, with the embedded engines."""

import io
import wave

import pytest

from support.cli_process import SENTENCE
from support.services import QUESTION, ServiceProcesses

pytestmark = pytest.mark.redis


def audio_duration_s(services: ServiceProcesses, job: dict) -> float:
    audio = services.client.get(job["audio_url"])
    assert audio.status_code == 200
    with wave.open(io.BytesIO(audio.content)) as file:
        return file.getnframes() / file.getframerate()


def event_names(services: ServiceProcesses, job: dict) -> list[str]:
    stream = services.client.get(f"/events/{job['job_id']}").text
    return [line.removeprefix("event: ") for line in stream.splitlines() if line.startswith("event: ")]


def test_written_question_continues_a_spoken_conversation(embedded):
    """A written turn gets the history of a spoken one, and its answer the conversation's voice."""
    first = embedded.wait_until_ended(embedded.upload(conversation_id="kitchen", voice="en-gb"))
    assert "twelve" in first["response"].lower()
    second = embedded.wait_until_ended(embedded.ask("What did I just say?", conversation_id="kitchen"))
    assert second["response"] == f"You said: {SENTENCE}"
    assert audio_duration_s(embedded, second) > 1
    conversation = embedded.client.get("/conversations/kitchen").json()
    assert (conversation["language"], conversation["voice"], len(conversation["turns"])) == ("en", "en-gb", 2)


def test_written_question_gets_a_spoken_answer(embedded):
    """A written question is answered in speech, without the STT stage."""
    job = embedded.wait_until_ended(embedded.ask("What is seven plus five?", language="en"))
    assert (job["status"], job["response"]) == ("completed", "Seven plus five is twelve.")
    assert set(job["timings"]["stages"]) == {"llm", "tts"}
    assert audio_duration_s(embedded, job) == pytest.approx(job["duration_s"], abs=0.01)


def test_text_is_synthesized_in_segments(embedded):
    """A text is synthesized in several segments, which are joined into one file of their whole length."""
    text = "Dinner is **ready**, and it is still hot. Come and eat with us. Bring a chair from the kitchen."
    job = embedded.wait_until_ended(embedded.speak(text))
    assert (job["status"], job["response"], set(job["engines"])) == ("completed", text, {"tts"})
    assert job["timings"]["first_audio_s"] <= job["timings"]["total_s"]
    names = event_names(embedded, job)
    assert (names.count("segment") >= 3, "stage_done" in names, names[-1]) == (True, False, "completed")
    assert 3 < audio_duration_s(embedded, job) < 12


def test_failed_synthesis_of_a_text_can_be_retried(embedded):
    """A text whose synthesis fails keeps no file, and its job can be retried, though it has no recording."""
    job = embedded.wait_until_ended(embedded.speak("Dinner is ready.", voice="no-such-voice"))
    assert (job["status"], job["error"]["code"]) == ("failed", "unknown_voice")
    assert embedded.client.post(f"/jobs/{job['job_id']}/retry").status_code == 202
    assert embedded.wait_until_ended(job["job_id"])["error"]["code"] == "unknown_voice"
    assert not [name for name in embedded.files() if job["job_id"] in name]


@pytest.mark.parametrize(("route", "answer"), [("stt", None), ("stt,llm", "Seven plus five is twelve.")])
def test_recording_with_a_text_route_produces_no_audio(embedded, route, answer):
    """A job on a route without TTS completes with its texts, and has no audio."""
    with QUESTION.open("rb") as file:
        accepted = embedded.client.post("/transcribe", params={"route": route}, files={"audio_file": file}).json()
    assert accepted["audio_url"] is None
    job = embedded.wait_until_ended(accepted["job_id"])
    assert (job["status"], job["transcript"], job["response"]) == ("completed", SENTENCE, answer)
    assert (job["audio_url"], set(job["engines"])) == (None, set(route.split(",")))
    assert event_names(embedded, job)[-1] == "completed"
    assert embedded.client.get(f"/audio/{job['job_id']}").json()["code"] == "no_audio"
    assert [name for name in embedded.files() if job["job_id"] in name] == [f"input/{job['job_id']}"]
