"""How long an answer may take to begin, and to go on."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from shared.errors import ModelUnavailable


class _End:
    """Marks the end of an answer; a None would be taken for it."""


async def with_deadlines(pieces: AsyncIterator[str], first_s: float, idle_s: float) -> AsyncGenerator[str, None]:
    """Pass an engine's pieces on, but wait no longer than `first_s` for the first and `idle_s` for each later one.

    Only waiting for the model counts, not what the listener does between two pieces. Whatever ends this, also the
    listener's `aclose`, drops the engine's connection at once, so that no model goes on writing for nobody.

    Raises:
        ModelUnavailable: a deadline passed.
    """
    arrived: asyncio.Queue[str | _End] = asyncio.Queue()
    # Cancelling a task unwinds a library's nested generators down to the socket. Closing only the outermost does not:
    # google-genai 3.4 then keeps the connection, and the model writing, until the garbage collector comes by. For that
    # the task must always be inside the library, never waiting for room in the queue; LLM_MAX_TOKENS bounds the queue.
    reading = asyncio.create_task(_read(pieces, arrived))
    limit_s, lateness = first_s, "did not begin within"
    try:
        while True:
            try:
                async with asyncio.timeout(limit_s):
                    piece = await arrived.get()
            except TimeoutError:
                raise ModelUnavailable(f"The language model's answer {lateness} {limit_s:g} seconds.") from None
            if isinstance(piece, _End):
                break
            yield piece
            limit_s, lateness = idle_s, "paused for more than"
        await reading  # raises what the engine raised
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def _read(pieces: AsyncIterator[str], arrived: asyncio.Queue[str | _End]) -> None:
    try:
        async for piece in pieces:
            arrived.put_nowait(piece)
    finally:
        arrived.put_nowait(_End())
