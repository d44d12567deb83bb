"""Sending what happens to a job, as it happens."""

from collections.abc import AsyncIterator

from fastapi.sse import KEEPALIVE_COMMENT
from starlette.responses import StreamingResponse

from api.jobs.job_feed import JobFeed


class EventStream(StreamingResponse):
    """Server-sent events. FastAPI's own response would write each of them anew for each listener, and pass it through
    two queues: a thousand listeners of one job heard of an event after two seconds."""

    media_type = "text/event-stream"


def stream(feed: JobFeed, after: str) -> EventStream:
    """Whatever comes behind the event with the id `after`."""
    return EventStream(_wire(feed, after), headers={"X-Accel-Buffering": "no"})  # nginx would collect them


async def _wire(feed: JobFeed, after: str) -> AsyncIterator[bytes]:
    async for batch in feed.batches(after):
        yield b"".join(event.wire for event in batch) or KEEPALIVE_COMMENT
