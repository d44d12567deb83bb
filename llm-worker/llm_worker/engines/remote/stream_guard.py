"""Judge whether a streamed reply is whole: shared by all engines that call a model server."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from enum import Enum, auto
from typing import TypeVar

from llm_worker.engines.remote import error_mapping

ChunkT = TypeVar("ChunkT")


class Ending(Enum):
    """The end of a stream, according to the vendor's finish reason."""

    WHOLE = auto()
    LIMIT_REACHED = auto()
    """The reply used up LLM_MAX_TOKENS. It counts as whole if it has any words."""

    BLOCKED = auto()
    CUT_OFF = auto()


async def guard_stream(
    stream: AbstractAsyncContextManager[AsyncIterator[ChunkT]],
    *,
    engine: str,
    read: Callable[[ChunkT], tuple[str, str]],
    ending: Callable[[str], Ending],
) -> AsyncGenerator[str, None]:
    """Yield the text of each chunk as it arrives, and raise at the end unless the reply is whole.

    `read` returns a chunk's text and finish reason, both empty if absent. `ending` classifies the last finish reason,
    which is empty if the stream ended without one: no vendor's library raises an exception then.

    Raises:
        ModelUnavailable: the stream was cut off.
        AnswerBlocked: the model declined, or its reply has no words.
    """
    finish_reason = ""
    has_words = False
    async with stream as chunks:
        async for chunk in chunks:
            text, reason = read(chunk)
            finish_reason = reason or finish_reason
            if text:
                has_words = has_words or not text.isspace()
                yield text
    outcome = ending(finish_reason)
    if outcome is Ending.CUT_OFF:
        raise error_mapping.cut_off_error(engine)
    if outcome is Ending.BLOCKED:
        raise error_mapping.blocked_error(engine, finish_reason)
    if not has_words:
        raise error_mapping.empty_error(engine, limit_reached=outcome is Ending.LIMIT_REACHED)
