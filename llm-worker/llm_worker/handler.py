"""What the LLM stage does with a task."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

from llm_worker.engine import LlmEngine, Prompt
from llm_worker.engine_selection import load_engine
from llm_worker.history import recent
from llm_worker.reply_stream import Answer
from llm_worker.settings import LlmSettings
from llm_worker.timeouts import with_deadlines
from shared.errors import ModelUnavailable
from shared.queue import job_fields
from shared.queue.messages import Claim, Outcome, WorkerInfo
from shared.queue.stages import stage_after
from shared.storage.storage import Storage
from shared.worker.steps import Extend

_NO_MODEL = (
    "No language model is configured: a small built-in responder answers. Set GEMINI_API_KEY or OPENAI_BASE_URL."
)


class LlmHandler:
    """Turns a transcript into an answer, and has each sentence spoken while the next one is being written."""

    def __init__(self, engine: LlmEngine, settings: LlmSettings) -> None:
        warning = _NO_MODEL if engine.name == "offline" and settings.llm_engine == "auto" else None
        self.info = WorkerInfo("llm", engine.name, engine.model, warning)
        self._engine, self._settings = engine, settings

    async def handle(self, claim: Claim, extend: Extend) -> Outcome:
        prompt = Prompt(
            text=claim.fields[job_fields.TRANSCRIPT],
            language=claim.fields.get(job_fields.LANGUAGE, ""),
            system=claim.fields.get(job_fields.SYSTEM_PROMPT) or self._settings.llm_system_prompt,
            history=recent(claim.history, self._settings.llm_history_tokens),
        )
        answer = Answer(prompt.language, is_spoken=stage_after(claim.fields[job_fields.ROUTE], "llm") == "tts")
        try:
            async with asyncio.timeout(self._settings.llm_timeout_s), aclosing(self._pieces(prompt)) as pieces:
                async for piece in pieces:
                    answer.add(piece)
                    if answer.has_step and self._settings.streaming:
                        await extend(answer.step())
        except TimeoutError:
            raise ModelUnavailable("The language model's answer did not end in time.") from None
        answer.end()
        rest = answer.step()
        return replace(rest, fields=rest.fields | self.info.engine_fields())

    def _pieces(self, prompt: Prompt) -> AsyncGenerator[str, None]:
        settings = self._settings
        return with_deadlines(
            self._engine.answer(prompt), settings.llm_first_token_timeout_s, settings.llm_idle_timeout_s
        )


@asynccontextmanager
async def open_llm(settings: LlmSettings, _storage: Storage) -> AsyncIterator[LlmHandler]:
    """A handler with a connected engine, which is closed when it is left.

    Raises:
        StartupError: the engine lacks a key or an address.
    """
    engine = load_engine(settings)
    try:
        yield LlmHandler(engine, settings)
    finally:
        await engine.close()
