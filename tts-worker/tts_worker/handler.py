"""What the TTS stage does with a task: cut a text into segments, speak one, or join them into the whole."""

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
from shared.text.speech_text import pieces_of
from shared.worker.engine_process import EngineProcess, warm_engine
from shared.worker.steps import Extend
from tts_worker import wav
from tts_worker.cache import SpeechCache
from tts_worker.child import load_synthesizer
from tts_worker.engine import Speech, TtsEngine
from tts_worker.settings import TtsSettings

#: Silence behind a segment, about what a reader leaves. It is part of the segment, so that what is heard while the
#: answer is being made and the whole of it are the same.
SENTENCE_PAUSE_S, CLAUSE_PAUSE_S = 0.15, 0.05
SENTENCE_ENDS = ".!?…:。！？।"

#: What a text may take beside TTS_TIMEOUT_S: people speak 15 characters a second, and a voice that is slower than half
#: of that is of no use.
SECONDS_A_CHARACTER = 2 / 15


class TtsHandler:
    """Turns segments of text into one spoken answer."""

    def __init__(
        self, process: EngineProcess[TtsEngine], info: WorkerInfo, storage: Storage, settings: TtsSettings
    ) -> None:
        self.info = info
        self._process, self._storage, self._settings = process, storage, settings
        self._cache = SpeechCache(storage, settings)

    async def handle(self, claim: Claim, _extend: Extend) -> Outcome:
        if claim.part is None:
            return await asyncio.to_thread(_cut, claim)
        return await (self._join(claim) if claim.part == "join" else self._speak(claim))

    async def _speak(self, claim: Claim) -> Outcome:
        language = claim.fields.get(job_fields.LANGUAGE)
        voice = claim.fields.get(job_fields.VOICE) or self._settings.voice_of(language)
        index, key = int(claim.part or 0), self._cache.key(self.info, claim.input, language, voice)
        kept = await asyncio.to_thread(self._find, claim, index, key)
        if kept is None:
            timeout_s = self._settings.tts_timeout_s + len(claim.input) * SECONDS_A_CHARACTER
            speech = await self._process.run(TtsEngine.synthesize, timeout_s, claim.input, language, voice)
            kept = await asyncio.to_thread(self._keep, claim, index, key, speech)
        name, duration_s = kept
        return Outcome(
            self.info.engine_fields(_name(voice) if voice else None),
            part=(index, name),
            events=[SegmentEvent(index, round(duration_s, 3), name)],
        )

    # A segment's relative name, and how long it is in seconds. Each is one call of a thread.

    def _find(self, claim: Claim, index: int, key: str) -> tuple[str, float] | None:
        name = self._cache.get(claim, index, key)
        if name is None:
            return None
        with self._storage.open_segment(name) as file:
            return name, wav.duration_s(file.content)

    def _keep(self, claim: Claim, index: int, key: str, speech: Speech) -> tuple[str, float]:
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


def _name(voice: str) -> str:
    """As it is told: an operator's voice may be a file."""
    return PurePath(voice).name.removesuffix(".onnx")


def _cut(claim: Claim) -> Outcome:
    """The parts of a text that comes whole."""
    return Outcome(
        parts=("tts", pieces_of(claim.fields[job_fields.RESPONSE], claim.fields.get(job_fields.LANGUAGE, "")))
    )


def _pause_s(text: str) -> float:
    """How long to be silent behind a segment."""
    return SENTENCE_PAUSE_S if text.rstrip("\"'”’»)]").endswith(tuple(SENTENCE_ENDS)) else CLAUSE_PAUSE_S


@asynccontextmanager
async def open_tts(settings: TtsSettings, storage: Storage) -> AsyncIterator[TtsHandler]:
    """A warm handler, and its engine's process ended when it is left.

    Raises:
        StartupError: the engine or its voice is missing.
    """
    async with warm_engine("tts", partial(load_synthesizer, settings), settings.log_level) as (process, info):
        # A voice may have been replaced by another of the same name, and an engine by its next version.
        await asyncio.to_thread(storage.clear_cache)
        yield TtsHandler(process, info, storage, settings)
