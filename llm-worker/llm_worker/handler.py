"""Handler of the LLM stage: answers a transcript and queues each segment while the model writes the next."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

from llm_worker.engine import LlmEngine, Prompt
from llm_worker.engine_selection import load_engine
from llm_worker.history import last_turns
from llm_worker.reply_stream import ReplyStream
from llm_worker.settings import LlmSettings
from llm_worker.timeouts import with_timeouts
from shared.errors import ModelUnavailable
from shared.queue import job_fields
from shared.queue.messages import Claim, Outcome, WorkerInfo
from shared.queue.stages import stage_after
from shared.storage.storage import Storage
from shared.worker.handler import RecordStep

#: The worker's warning, shown to users and operators, when `auto` finds no language model.
_NO_MODEL_WARNING = (
    "No language model is configured: a small built-in responder answers. Set GEMINI_API_KEY or OPENAI_BASE_URL."
)


class LlmHandler:
    """Turns a transcript into a reply, and queues its segments for synthesis while the rest is being written."""

    def __init__(self, engine: LlmEngine, settings: LlmSettings) -> None:
        warning = _NO_MODEL_WARNING if engine.name == "offline" and settings.llm_engine == "auto" else None
        self.info = WorkerInfo("llm", engine.name, engine.model, warning)
        self._engine = engine
        self._settings = settings

    async def handle(self, claim: Claim, record_step: RecordStep) -> Outcome:
        prompt = Prompt(
            text=claim.fields[job_fields.TRANSCRIPT],
            language=claim.fields.get(job_fields.LANGUAGE, ""),
            system=claim.fields.get(job_fields.SYSTEM_PROMPT) or self._settings.llm_system_prompt,
            history=last_turns(claim.history, self._settings.llm_history_tokens),
        )
        is_synthesized = stage_after(claim.fields[job_fields.ROUTE], "llm") == "tts"
        reply = ReplyStream(prompt.language, is_synthesized=is_synthesized)
        try:
            async with asyncio.timeout(self._settings.llm_timeout_s), aclosing(self._chunks(prompt)) as chunks:
                async for chunk in chunks:
                    reply.add(chunk)
                    if reply.has_new_segments and self._settings.streaming:
                        await record_step(reply.take_step())
        except TimeoutError:
            raise ModelUnavailable("The language model's answer did not end in time.") from None
        reply.finish()
        last_step = reply.take_step()
        return replace(last_step, fields=last_step.fields | self.info.engine_fields())

    def _chunks(self, prompt: Prompt) -> AsyncGenerator[str, None]:
        settings = self._settings
        return with_timeouts(
            self._engine.answer(prompt), settings.llm_first_token_timeout_s, settings.llm_idle_timeout_s
        )


@asynccontextmanager
async def open_llm(settings: LlmSettings, _storage: Storage) -> AsyncIterator[LlmHandler]:
    """Yield a handler with a connected engine; close the engine on exit.

    Raises:
        StartupError: the engine lacks a key or a URL.
    """
    engine = load_engine(settings)
    try:
        yield LlmHandler(engine, settings)
    finally:
        await engine.close()
