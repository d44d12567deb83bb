"""Handler of the TTS stage: splits a text into segments, synthesizes one, or joins them into the answer."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import PurePath

from shared.queue import job_fields
from shared.queue.events import SegmentEvent
from shared.queue.messages import Claim, Outcome, WorkerInfo
from shared.storage.storage import Storage
from shared.text.speech_text import SpeechText
from shared.worker.engine_process import EngineProcess, warm_engine
from shared.worker.handler import RecordStep
from tts_worker import wav
from tts_worker.cache import SpeechCache
from tts_worker.child import load_in_child
from tts_worker.engine import Speech, TtsEngine
from tts_worker.settings import TtsSettings

#: Silence after a sentence, about as long as a reader's. It is part of the segment, so that the streamed answer and the
#: joined file are the same.
_SENTENCE_PAUSE_S = 0.15

#: Silence after a segment that ends within a sentence.
_CLAUSE_PAUSE_S = 0.05

#: Characters that end a sentence.
_SENTENCE_ENDS = ".!?…:。！？।"

#: Extra timeout for each character: people speak 15 characters a second, and a voice slower than half of that is
#: useless.
_TIMEOUT_PER_CHARACTER_S = 2 / 15


class TtsHandler:
    """Turns the text of a job into audio, one segment at a time, with the engine in a child process."""

    def __init__(
        self, process: EngineProcess[TtsEngine], info: WorkerInfo, storage: Storage, settings: TtsSettings
    ) -> None:
        self.info = info
        self._process = process
        self._storage = storage
        self._settings = settings
        self._cache = SpeechCache(storage, settings)

    async def handle(self, claim: Claim, _record_step: RecordStep) -> Outcome:
        if claim.part is None:
            return await asyncio.to_thread(_split, claim)
        if claim.part == "join":
            return await self._join(claim)
        return await self._synthesize(claim)

    async def _synthesize(self, claim: Claim) -> Outcome:
        language = claim.fields.get(job_fields.LANGUAGE)
        voice = claim.fields.get(job_fields.VOICE) or self._settings.voice_for(language)
        index = int(claim.part or 0)
        key = self._cache.key(self.info, claim.input, language, voice)
        segment = await asyncio.to_thread(self._find_cached, claim, index, key)
        if segment is None:
            timeout_s = self._settings.tts_timeout_s + len(claim.input) * _TIMEOUT_PER_CHARACTER_S
            speech = await self._process.run(TtsEngine.synthesize, timeout_s, claim.input, language, voice)
            segment = await asyncio.to_thread(self._store, claim, index, key, speech)
        name, duration_s = segment
        return Outcome(
            self.info.engine_fields(_voice_name(voice) if voice else None),
            part=(index, name),
            events=[SegmentEvent(index, round(duration_s, 3), name)],
        )

    # Both methods below block: each runs in a thread, and returns a segment's stored name and its duration in seconds.

    def _find_cached(self, claim: Claim, index: int, key: str) -> tuple[str, float] | None:
        name = self._cache.get(claim, index, key)
        if name is None:
            return None
        with self._storage.open_segment(name) as file:
            return name, wav.duration_s(file.content)

    def _store(self, claim: Claim, index: int, key: str, speech: Speech) -> tuple[str, float]:
        segment = speech.followed_by(_pause_s(claim.input))
        name = self._storage.write_segment(claim.job_id, index, claim.token, wav.encode(segment))
        self._cache.put(name, key)
        return name, segment.duration_s

    async def _join(self, claim: Claim) -> Outcome:
        segments = [partial(self._storage.open_segment, name) for name in json.loads(claim.input)]

        def write() -> float:
            with self._storage.answer_writer(claim.job_id) as file:
                return wav.join(segments, file)

        duration_s = await asyncio.to_thread(write)
        name = self._storage.answer_name(claim.job_id)
        return Outcome({job_fields.AUDIO_PATH: name, job_fields.DURATION_S: f"{duration_s:.3f}"})


def _voice_name(voice: str) -> str:
    """The public name of a voice: an operator's voice may be a file, whose path is not shown."""
    return PurePath(voice).name.removesuffix(".onnx")


def _split(claim: Claim) -> Outcome:
    """Split the whole text of a job without an LLM stage into segments."""
    splitter = SpeechText(claim.fields.get(job_fields.LANGUAGE, ""))
    return Outcome(parts=("tts", splitter.finish(claim.fields[job_fields.RESPONSE])))


def _pause_s(text: str) -> float:
    """The silence after a segment, in seconds."""
    is_sentence_end = text.rstrip("\"'”’»)]").endswith(tuple(_SENTENCE_ENDS))
    return _SENTENCE_PAUSE_S if is_sentence_end else _CLAUSE_PAUSE_S


@asynccontextmanager
async def open_tts(settings: TtsSettings, storage: Storage) -> AsyncIterator[TtsHandler]:
    """Yield a handler with a warm engine; end the engine's process on exit.

    Raises:
        StartupError: the engine or its voice is missing.
    """
    async with warm_engine("tts", partial(load_in_child, settings), settings.log_level) as (process, info):
        # The same name may now stand for another voice, or for another version of the engine.
        await asyncio.to_thread(storage.clear_cache)
        yield TtsHandler(process, info, storage, settings)
