"""Answers as they are made: events, and sound that plays from the first segment on."""

from collections.abc import AsyncIterable, AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.responses import Response

from api.audio_file import AudioFile, no_answer, removed, text_alone
from api.feeds import Feed
from api.job_id import JobId
from api.problems import Problem, responses
from api.spoken import spoken
from api.spoken_response import SpokenResponse
from api.state import State, StateDep
from shared.errors import JobNotFound
from shared.job import is_spoken

router = APIRouter(tags=["answers"])

_NOT_FOUND = (404, JobNotFound.code, JobNotFound.message)
_NO_AUDIO = (410, "no_audio", "This job ended without an answer. See /status/{job_id} for the reason.")
_NO_SEGMENT = (404, "no_such_segment", "There is no such segment, or not yet, or no more. See /audio/{job_id}.")
_NO_RANGE = (416, "no_such_range", "The file has no such range. It is 96,044 bytes long.")

_RANGE = {
    "parameters": [
        {
            "name": "Range",
            "in": "header",
            "schema": {"type": "string"},
            "example": "bytes=0-9999",
            "description": "A part.",
        }
    ]
}

#: What a browser sends by itself when it connects again.
_EVENT_ID = r"\d{1,15}-\d{1,15}"


async def _feed(job_id: JobId, state: StateDep) -> AsyncIterator[Feed]:
    if await state.queue.job(job_id) is None:
        raise JobNotFound
    async with state.feeds.open(job_id) as feed:
        yield feed


@router.get(
    "/events/{job_id}",
    summary="What happens to a job, as it happens",
    response_class=EventSourceResponse,
    responses=responses(_NOT_FOUND),
)
async def events(
    job_id: JobId,
    feed: Annotated[Feed, Depends(_feed)],
    last_event_id: Annotated[
        str, Header(pattern=rf"^({_EVENT_ID})?$", description="The last event that is known; later ones are sent.")
    ] = "",
) -> AsyncIterable[ServerSentEvent]:
    """Server-sent events, until the job has ended: `pending`, `position` (`ahead` and `wait_s`), `processing`,
    `transcript`, `text` (what has been added to the answer), `segment` (`url` and `duration_s` of a spoken piece),
    `stage_done`, `retrying`, `restarted` (the answer begins anew: forget its text, and segments before `first`), and at
    last `completed`, `failed` or `cancelled`."""
    async for event in feed.follow(last_event_id):
        yield ServerSentEvent(id=event["id"], event=event["event"], data=_public(job_id, event))


def _public(job_id: str, event: dict[str, Any]) -> dict[str, Any]:
    data = {name: value for name, value in event.items() if name not in ("id", "event", "path")}
    if event["event"] == "segment":
        data["url"] = f"/audio/{job_id}/segments/{event['index']}"
    return data


@router.get(
    "/audio/{job_id}/segments/{index}",
    summary="One spoken piece of an answer",
    response_class=AudioFile,
    responses={200: {"description": "A WAV file.", "content": {"audio/wav": {}}}, **responses(_NOT_FOUND, _NO_SEGMENT)},
)
async def segment(job_id: JobId, index: Annotated[int, Path(ge=0, le=9999)], state: StateDep) -> AudioFile:
    """What a `segment` event tells of. Segments are kept until an hour after the whole answer is there."""
    if await state.queue.job(job_id) is None:
        raise JobNotFound
    for event in await state.queue.events(job_id):
        if event["event"] == "segment" and event["index"] == index:
            path = state.storage.absolute(event["path"])
            if path.is_file():
                return AudioFile(path, media_type="audio/wav", filename=path.name)
    raise Problem(*_NO_SEGMENT)


@router.head("/audio/{job_id}", include_in_schema=False)
@router.get(
    "/audio/{job_id}",
    summary="The spoken answer",
    response_class=AudioFile,
    openapi_extra=_RANGE,
    responses={
        200: {"description": "The WAV file, the rest of it as it is made.", "content": {"audio/wav": {}}},
        206: {
            "description": "The part that the `Range` header asks for, or several.",
            "content": {"audio/wav": {}, "multipart/byteranges": {}},
        },
        **responses(_NOT_FOUND, _NO_AUDIO, _NO_RANGE),
    },
)
async def audio(
    job_id: JobId,
    state: StateDep,
    offset: Annotated[
        int, Query(ge=0, le=2**40, description="The first byte that is wanted, by whoever was cut off.")
    ] = 0,
) -> Response:
    """Send the answer: whole or, with a `Range` header, in part, if it is complete; else from its first segment on,
    while the others are being made. Where that breaks off, the answer has begun anew or failed: see `/events`."""
    job = await state.queue.job(job_id)
    if job is None:
        raise JobNotFound
    if not is_spoken(job.route):
        raise text_alone(job_id)
    if job.has_ended and job.audio_path is None:
        raise no_answer(job_id)
    if job.audio_path and not offset:
        path = state.storage.absolute(job.audio_path)
        try:
            found = path.stat()
        except FileNotFoundError:
            raise removed() from None
        return AudioFile(path, media_type="audio/wav", filename=path.name, stat_result=found)
    pieces = _pieces(job_id, state, offset)
    return SpokenResponse(await anext(pieces, b""), pieces)


async def _pieces(job_id: str, state: State, offset: int) -> AsyncIterator[bytes]:
    async with state.feeds.open(job_id) as feed:
        async for piece in spoken(feed, state.queue, state.storage, job_id, offset):
            yield piece
