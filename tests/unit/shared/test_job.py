"""Reading a job from its hash, routes and task names."""

from shared.queue.job import Job
from shared.queue.messages import Claim
from shared.queue.stages import stage_after, task_name

FIELDS = {
    "job_id": "a" * 32,
    "status": "completed",
    "stage": "tts",
    "route": "stt,llm,tts",
    "transcript": "hello",
    "audio_path": "output/x.wav",
    "duration_s": "1.500",
    "engine:stt": "faster-whisper",
    "model:stt": "base",
    "strategy:stt": "full",
    "fallback_reason:stt": "unlikely",
    "attempts:stt": "2",
    "created_at": "1000000",
    "updated_at": "1004000",
    "ended_at": "1004000",
    "queued_at:stt": "1000000",
    "begun_at:stt": "1000250",
    "done_at:stt": "1001250",
    "queued_at:llm": "1001250",
    "begun_at:llm": "1001300",
    "queued_at:tts": "1003000",
    "first_audio_at": "1003500",
    "system_prompt": "not the client's business",
}


def test_job_is_read_from_its_hash():
    """A job read from its hash has typed fields, times in UTC, and no private field."""
    job = Job.from_hash(FIELDS)
    assert (job.transcript, job.response, job.duration_s) == ("hello", None, 1.5)
    assert job.engines["stt"].model_dump() == {"engine": "faster-whisper", "model": "base"}
    assert job.attempts == {"stt": 2}
    assert job.created_at.isoformat() == "1970-01-01T00:16:40+00:00"
    assert job.error is None
    assert job.has_ended
    assert "not the client's" not in job.model_dump_json()


def test_timings_separate_waiting_from_working():
    """Each stage that has started has its waiting time, and each that is done its working time."""
    timings = Job.from_hash(FIELDS).timings
    assert timings.model_dump() == {
        "stages": {
            "stt": {
                "queued_s": 0.0,
                "waited_s": 0.25,
                "worked_s": 1.0,
                "strategy": "full",
                "fallback_reason": "unlikely",
            },
            "llm": {"queued_s": 1.25, "waited_s": 0.05, "worked_s": None, "strategy": None, "fallback_reason": None},
        },
        "first_audio_s": 3.5,
        "total_s": 4.0,
    }


def test_failed_job_has_an_error_with_code_and_message():
    """A failed job's error has the code and the message of its hash."""
    job = Job.from_hash(FIELDS | {"status": "failed", "error_code": "no_speech", "error_message": "Speak up."})
    assert job.error is not None
    assert job.error.model_dump() == {"code": "no_speech", "message": "Speak up."}


def test_route_determines_the_next_stage():
    """The stage after another one depends on the route, and the last stage has none."""
    assert stage_after("stt,llm,tts", "stt") == "llm"
    assert stage_after("stt,llm,tts", "tts") is None
    assert stage_after("stt", "stt") is None


def test_claim_reads_job_and_part_from_the_task_name():
    """A claim's job id and part are those that its task was named by."""
    for part, expected in ((None, None), (3, "3"), ("join", "join")):
        claim = Claim(task_name("tts", "f" * 32, part), "token", 1, "", {})
        assert (claim.job_id, claim.part) == ("f" * 32, expected)
