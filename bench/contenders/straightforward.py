"""The pipeline as one writes it in an afternoon: pop, call the library with its defaults, push; the answer is spoken
when it is whole. What a worker has popped is gone if it dies, nothing is forced to the disk, and nobody hears a word
before the end. `STT_MODEL`, `STT_LANGUAGE`, `TTS_VOICE` and `DATA_DIR` are the product's own variables.
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

from bench.contenders.bare_asyncio import AFTER, BLOCK_S
from bench.contenders.scripted_llm import answer

READY = "straightforward:ready"

#: Gets a job's id and its hash; what it adds to the hash.
Work = Callable[[str, dict[str, str]], dict[str, str]]


def submit(redis: Any, paths: list[Path]) -> list[str]:
    """All recordings at once; their jobs."""
    jobs = [uuid4().hex for _ in paths]
    pipe = redis.pipeline()
    for job, path in zip(jobs, paths, strict=True):
        pipe.hset(_key(job), mapping={"path": str(path)})
        pipe.lpush("straightforward:queue:stt", job)
    pipe.execute()
    return jobs


def fields_of(redis: Any, job: str) -> dict[str, str]:
    """With `ended_at`, in seconds since the epoch, once it has ended."""
    return dict(redis.hgetall(_key(job)))


def _key(job: str) -> str:
    return f"straightforward:job:{job}"


def _stt() -> Work:
    from faster_whisper import WhisperModel

    model = WhisperModel(os.environ["STT_MODEL"], device="cpu", compute_type="int8")

    def transcribe(_job: str, fields: dict[str, str]) -> dict[str, str]:
        segments, _ = model.transcribe(fields["path"], language=os.environ["STT_LANGUAGE"])
        return {"transcript": "".join(segment.text for segment in segments).strip()}

    return transcribe


def _llm() -> Work:
    return lambda _job, _fields: {"response": answer()}


def _tts() -> Work:
    from piper import PiperVoice

    voice = PiperVoice.load(os.environ["TTS_VOICE"])
    folder = Path(os.environ["DATA_DIR"])

    def speak(job: str, fields: dict[str, str]) -> dict[str, str]:
        path = folder / f"{job}.wav"
        with wave.open(str(path), "wb") as file:
            voice.synthesize_wav(fields["response"], file)
        return {"audio_path": str(path), "ended_at": str(time.time())}

    return speak


def _run(stage: str, url: str) -> None:
    work = {"stt": _stt, "llm": _llm, "tts": _tts}[stage]()
    redis: Any = Redis.from_url(url, decode_responses=True)
    redis.sadd(READY, stage)
    following = AFTER[stage]
    while True:
        popped = redis.brpop(f"straightforward:queue:{stage}", BLOCK_S)
        if not popped:
            continue
        job = popped[1]
        redis.hset(_key(job), mapping=work(job, fields_of(redis, job)))
        if following:
            redis.lpush(f"straightforward:queue:{following}", job)


if __name__ == "__main__":
    _run(sys.argv[1], os.environ["REDIS_URL"])
