"""What was spoken already need not be spoken again: greetings, and "I did not understand you", come often."""

import hashlib
import json

from shared.queue.messages import Claim, WorkerInfo
from shared.storage.storage import Storage
from tts_worker.settings import TtsSettings


class SpeechCache:
    """Segments of jobs that there still are, by all that decides how they sound."""

    def __init__(self, storage: Storage, settings: TtsSettings) -> None:
        self._storage, self._settings = storage, settings
        self._limit_bytes = round(settings.tts_cache_mb * 1_000_000)

    def key(self, info: WorkerInfo, text: str, language: str | None, voice: str | None) -> str:
        """Equal for what would sound the same."""
        settings = self._settings
        parts = [info.engine, info.model, settings.tts_voice, settings.tts_speed, voice, language, text]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def get(self, claim: Claim, index: int, key: str) -> str | None:
        """The name of the task's segment, if another job has the same."""
        if not self._limit_bytes:
            return None
        return self._storage.reuse_segment(claim.job_id, index, claim.token, key)

    def put(self, segment: str, key: str) -> None:
        if self._limit_bytes:
            self._storage.cache_segment(segment, key, self._limit_bytes)
