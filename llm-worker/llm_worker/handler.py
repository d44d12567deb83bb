"""What the LLM stage does with a task."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

from llm_worker.choice import load_engine
from llm_worker.deadline import with_deadlines
from llm_worker.engine import LlmEngine, Prompt
from llm_worker.segments import mended, split
from llm_worker.settings import LlmSettings
from shared.errors import AnswerBlocked, ModelUnavailable
from shared.job import stage_after, task_name
from shared.storage import Storage
from shared.task import Claim, Outcome, WorkerInfo

_NO_MODEL = (
    "No language model is configured: a small built-in responder answers. Set GEMINI_API_KEY or OPENAI_BASE_URL."
)


class LlmHandler:
    """Turns a transcript into an answer, cut into the segments that will be spoken."""

    def __init__(self, engine: LlmEngine, settings: LlmSettings) -> None:
        warning = _NO_MODEL if engine.name == "offline" and settings.llm_engine == "auto" else None
        self.info = WorkerInfo("llm", engine.name, engine.model, warning)
        self._engine, self._settings = engine, settings

    async def handle(self, claim: Claim) -> Outcome:
        language = claim.fields.get("language", "")
        prompt = Prompt(
            text=claim.fields["transcript"],
            language=language,
            system=claim.fields.get("system_prompt") or self._settings.llm_system_prompt,
        )
        answer = await self._answer(prompt)
        segments = split(answer, language)
        if not segments:
            raise AnswerBlocked
        fields = {"response": answer, "engine:llm": self.info.engine, "model:llm": self.info.model}
        if stage_after(claim.fields["route"], "llm") != "tts":
            return Outcome(fields)
        parts = [(task_name("tts", claim.job_id, index), text) for index, text in enumerate(segments)]
        return Outcome(fields, parts, join=task_name("tts", claim.job_id, "join"))

    async def _answer(self, prompt: Prompt) -> str:
        settings = self._settings
        pieces = with_deadlines(
            self._engine.answer(prompt), settings.llm_first_token_timeout_s, settings.llm_idle_timeout_s
        )
        try:
            async with asyncio.timeout(settings.llm_timeout_s), aclosing(pieces):
                return mended("".join([piece async for piece in pieces])).strip()
        except TimeoutError:
            raise ModelUnavailable("The language model's answer did not end in time.") from None


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
