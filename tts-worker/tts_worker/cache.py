"""Reuse segments for texts that were synthesized before: greetings and "I did not understand you" are frequent."""

import hashlib
import json

from shared.queue.messages import Claim, WorkerInfo
from shared.storage.storage import Storage
from tts_worker.settings import TtsSettings


class SpeechCache:
    """Segments of existing jobs, by a hash of everything that determines their sound."""

    def __init__(self, storage: Storage, settings: TtsSettings) -> None:
        self._storage = storage
        self._settings = settings
        self._limit_bytes = round(settings.tts_cache_mb * 1_000_000)

    def key(self, info: WorkerInfo, text: str, language: str | None, voice: str | None) -> str:
        """The cache key: equal if and only if the segments would sound the same."""
        settings = self._settings
        parts = [info.engine, info.model, settings.tts_voice, settings.tts_speed, voice, language, text]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def get(self, claim: Claim, index: int, key: str) -> str | None:
        """Store the cached segment under `key` as the task's own; return its name, or None without one."""
        if not self._limit_bytes:
            return None
        return self._storage.reuse_segment(claim.job_id, index, claim.token, key)

    def put(self, segment: str, key: str) -> None:
        """Share a segment with later tasks of the same key."""
        if self._limit_bytes:
            self._storage.cache_segment(segment, key, self._limit_bytes)
