"""Time limits on the first chunk of a reply, and on each later one."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from shared.errors import ModelUnavailable


class _End:
    """Marks the end of a stream. None would not do: an engine might yield it."""


async def with_timeouts(chunks: AsyncIterator[str], first_s: float, idle_s: float) -> AsyncGenerator[str, None]:
    """Yield an engine's chunks, waiting at most `first_s` for the first and `idle_s` for each later one.

    Only the time spent waiting for the model counts, not the time that the consumer takes between two chunks. However
    this generator ends, including by the consumer's `aclose`, it closes the engine's connection at once, so that no
    model keeps writing a reply that is not read.

    Raises:
        ModelUnavailable: a timeout passed.
    """
    received: asyncio.Queue[str | _End] = asyncio.Queue()
    # Cancelling a task unwinds a library's nested generators down to the socket. Closing only the outermost does not:
    # google-genai 3.4 then keeps the connection, and the model writing, until the garbage collector runs. For that the
    # task must always be inside the library, never waiting for room in the queue; LLM_MAX_TOKENS bounds the queue.
    reader = asyncio.create_task(_read(chunks, received))
    timeout_s = first_s
    reason = "did not begin within"
    try:
        while True:
            try:
                async with asyncio.timeout(timeout_s):
                    chunk = await received.get()
            except TimeoutError:
                raise ModelUnavailable(f"The language model's answer {reason} {timeout_s:g} seconds.") from None
            if isinstance(chunk, _End):
                break
            yield chunk
            timeout_s = idle_s
            reason = "paused for more than"
        await reader  # raises the engine's exception
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)


async def _read(chunks: AsyncIterator[str], received: asyncio.Queue[str | _End]) -> None:
    try:
        async for chunk in chunks:
            received.put_nowait(chunk)
    finally:
        received.put_nowait(_End())
