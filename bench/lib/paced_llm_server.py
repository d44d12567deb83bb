"""A language model that writes at a steady pace, behind the wire format of OpenAI's chat completions."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from bench.lib.redis_server import free_port, wait_for_port

TOKENS_PER_S = 40

#: English text has about so many to a token.
CHARS_PER_TOKEN = 4

#: In 120 words, as a voice assistant is told to answer: in short sentences.
ANSWER = """\
Tea comes from China, where it was first drunk as a medicine. The story goes that a leaf fell into the kettle of an \
emperor, who liked the taste and asked for more. Monks carried the plant to Japan, and there drinking it became an \
art with rules of its own. Ships from Portugal and from Holland brought the first chests to Europe. At first it was \
so dear that it was kept under lock and key. In England it became the drink of everybody, from the queen to the \
miner. Today it is grown in more than forty countries, also in hot ones. Only water is drunk more often. If you make \
some, let it stand for three minutes."""

app = FastAPI()


@app.post("/v1/chat/completions")
async def complete() -> StreamingResponse:
    return StreamingResponse(_events(time.monotonic()), media_type="text/event-stream")


async def _events(asked: float) -> AsyncIterator[str]:
    """Each token at its own time, so that a late one does not hold up those behind it."""
    for number, start in enumerate(range(0, len(ANSWER), CHARS_PER_TOKEN), 1):
        await asyncio.sleep(max(asked + number / TOKENS_PER_S - time.monotonic(), 0))
        yield _event({"content": ANSWER[start : start + CHARS_PER_TOKEN]}, None)
    yield _event({}, "stop")
    yield "data: [DONE]\n\n"


def _event(delta: dict[str, str], finish_reason: str | None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "steady", "choices": [choice]}
    return f"data: {json.dumps(chunk)}\n\n"


@contextmanager
def running_language_model() -> Iterator[str]:
    """Its base URL."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for_port(port)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.should_exit = True
        thread.join()
