"""The response that sends a job's events as server-sent events (SSE)."""

import json
from collections.abc import AsyncIterator

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.responses import StreamingResponse

from api.jobs.job_events import JobEvent
from api.jobs.job_feed import JobFeed
from shared.queue.events import EVENTS, SegmentEvent

_SSE = "sse"

#: The names of event data that are not for clients.
_INTERNAL = frozenset[str]().union(*(kind.internal for kind in EVENTS.values()))


class EventStream(StreamingResponse):
    """The events of a feed. FastAPI's own response would render each event again for each subscriber, and pass it
    through two queues: with a thousand subscribers of one job an event arrived after two seconds."""

    media_type = "text/event-stream"

    def __init__(self, feed: JobFeed, after: str) -> None:
        """`after` is the id of the last event that the client has."""
        # The header keeps nginx from buffering the events.
        super().__init__(_render_batches(feed, after), headers={"X-Accel-Buffering": "no"})


async def _render_batches(feed: JobFeed, after: str) -> AsyncIterator[bytes]:
    async for batch in feed.batches(after):
        yield b"".join(_render(event) for event in batch) or KEEPALIVE_COMMENT


def _render(event: JobEvent) -> bytes:
    """The event as SSE, rendered for the first subscriber and reused for the others."""
    rendered = event.renderings.get(_SSE)
    if rendered is None:
        data = {name: value for name, value in event.data.items() if name not in _INTERNAL}
        if event.name == SegmentEvent.name:
            data["url"] = f"/audio/{event.job_id}/segments/{event.data['index']}"
        rendered = format_sse_event(data_str=json.dumps(data), event=event.name, id=event.id or None)
        event.renderings[_SSE] = rendered
    return rendered
