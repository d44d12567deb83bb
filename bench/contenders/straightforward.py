"""A minimal pipeline, as written in an afternoon: pop, call the library with its defaults, push. The answer is
synthesized when it is complete, so no audio is available before the end. A job that a worker has popped is lost if the
worker dies, and nothing is synced to the disk.

`STT_MODEL`, `STT_LANGUAGE`, `TTS_VOICE` and `DATA_DIR` are the product's own variables.
"""

import os
import sys
import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

from redis import Redis

from bench.contenders.bare_asyncio import NEXT_STAGE, POP_TIMEOUT_S
from bench.contenders.scripted_llm import next_answer

#: The set of stages whose workers are ready.
READY = "straightforward:ready"

#: Takes a job's id and its hash, and returns the fields to add to the hash.
ProcessJob = Callable[[str, dict[str, str]], dict[str, str]]


def submit(redis: Any, paths: list[Path]) -> list[str]:
    """Submit all recordings at once and return their jobs."""
    jobs = [uuid4().hex for _ in paths]
    pipe = redis.pipeline()
    for job, path in zip(jobs, paths, strict=True):
        pipe.hset(_job_key(job), mapping={"path": str(path)})
        pipe.lpush("straightforward:queue:stt", job)
    pipe.execute()
    return jobs


def job_fields(redis: Any, job: str) -> dict[str, str]:
    """The job's hash, with `ended_at` in seconds since the epoch once it has ended."""
    return dict(redis.hgetall(_job_key(job)))


def _job_key(job: str) -> str:
    return f"straightforward:job:{job}"


def _stt() -> ProcessJob:
    from faster_whisper import WhisperModel

    model = WhisperModel(os.environ["STT_MODEL"], device="cpu", compute_type="int8")

    def transcribe(_job: str, fields: dict[str, str]) -> dict[str, str]:
        segments, _ = model.transcribe(fields["path"], language=os.environ["STT_LANGUAGE"])
        return {"transcript": "".join(segment.text for segment in segments).strip()}

    return transcribe


def _llm() -> ProcessJob:
    return lambda _job, _fields: {"response": next_answer()}


def _tts() -> ProcessJob:
    from piper import PiperVoice

    voice = PiperVoice.load(os.environ["TTS_VOICE"])
    folder = Path(os.environ["DATA_DIR"])

    def synthesize(job: str, fields: dict[str, str]) -> dict[str, str]:
        path = folder / f"{job}.wav"
        with wave.open(str(path), "wb") as file:
            voice.synthesize_wav(fields["response"], file)
        return {"audio_path": str(path), "ended_at": str(time.time())}

    return synthesize


def _run_worker(stage: str, url: str) -> None:
    process_job = {"stt": _stt, "llm": _llm, "tts": _tts}[stage]()
    redis: Any = Redis.from_url(url, decode_responses=True)
    redis.sadd(READY, stage)
    next_stage = NEXT_STAGE[stage]
    while True:
        popped = redis.brpop(f"straightforward:queue:{stage}", POP_TIMEOUT_S)
        if not popped:
            continue
        job = popped[1]
        redis.hset(_job_key(job), mapping=process_job(job, job_fields(redis, job)))
        if next_stage:
            redis.lpush(f"straightforward:queue:{next_stage}", job)


if __name__ == "__main__":
    _run_worker(sys.argv[1], os.environ["REDIS_URL"])
