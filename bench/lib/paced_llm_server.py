"""A server of OpenAI's chat completions that streams one fixed answer at a steady pace."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from bench.lib.services import wait_for_port
from cli.local_stack.ports import LOOPBACK, free_port

TOKENS_PER_S = 40

#: About the average of English text.
CHARS_PER_TOKEN = 4

#: 120 words in short sentences, as the system prompts of voice assistants require.
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


async def _events(requested_at: float) -> AsyncIterator[str]:
    """Each token on a schedule from `requested_at`, so that a late token does not delay the next ones."""
    for number, start in enumerate(range(0, len(ANSWER), CHARS_PER_TOKEN), 1):
        await asyncio.sleep(max(requested_at + number / TOKENS_PER_S - time.monotonic(), 0))
        yield _event({"content": ANSWER[start : start + CHARS_PER_TOKEN]}, None)
    yield _event({}, "stop")
    yield "data: [DONE]\n\n"


def _event(delta: dict[str, str], finish_reason: str | None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "steady", "choices": [choice]}
    return f"data: {json.dumps(chunk)}\n\n"


@contextmanager
def running_llm_server() -> Iterator[str]:
    """The server's base URL, once it accepts connections."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, host=LOOPBACK, port=port, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for_port(port)
        yield f"http://{LOOPBACK}:{port}/v1"
    finally:
        server.should_exit = True
        thread.join()
