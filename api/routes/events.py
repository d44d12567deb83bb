"""The events of a job, as server-sent events."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request
from starlette.responses import Response

from api.dependencies import ServicesDep
from api.http_protocol.listeners import mark_listener
from api.intake.job_id import JobId
from api.jobs.job_feed import JobFeed
from api.problems.body import responses
from api.problems.catalogue import Problems
from api.responses.event_stream import EventStream
from shared.errors import JobNotFound
from shared.queue.events import EVENTS, LAST_EVENTS, payload_types

router = APIRouter(tags=["answers"])

#: The schema of one event, as OpenAPI 3.2 describes the items of a stream.
_EVENT = {
    "itemSchema": {
        "type": "object",
        "properties": {"event": {"type": "string"}, "id": {"type": "string"}, "data": {"type": "string"}},
    }
}

#: Every event with the fields that a client receives, for the OpenAPI document.
_DESCRIPTION = "Server-sent events, until the job has ended with one of " + (
    ", ".join(f"`{name}`" for name in EVENTS if name in LAST_EVENTS)
    + ":\n\n"
    + "\n".join(
        f"- `{name}` ({', '.join(sorted(payload_types(kind).keys() - kind.internal)) or 'no fields'}): {kind.__doc__}"
        for name, kind in EVENTS.items()
    )
)

#: The id of an event, which a browser sends when it reconnects.
_EVENT_ID = r"\d{1,15}-\d{1,15}"


async def _open_feed(request: Request, job_id: JobId, services: ServicesDep) -> AsyncIterator[JobFeed]:
    if await services.queue.job(job_id) is None:
        raise JobNotFound
    async with services.feeds.open(job_id) as feed:
        mark_listener(request.scope)
        yield feed


@router.get(
    "/events/{job_id}",
    summary="The events of a job, as they happen",
    description=_DESCRIPTION,
    response_class=Response,  # of no type: FastAPI would describe a stream as a string
    responses={
        200: {"content": {"text/event-stream": _EVENT}},
        **responses(Problems.JOB_NOT_FOUND, Problems.TOO_MANY_LISTENERS),
    },
)
async def events(
    job_id: JobId,
    feed: Annotated[JobFeed, Depends(_open_feed)],
    last_event_id: Annotated[
        str,
        Header(pattern=rf"^({_EVENT_ID})?$", description="The last event that the client has; later ones are sent."),
    ] = "",
) -> EventStream:
    """Stream a job's events."""
    return EventStream(feed, last_event_id)
