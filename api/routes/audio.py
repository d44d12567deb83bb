"""Answers as they are made: events, and sound that plays from the first segment on."""

import re
from collections.abc import AsyncIterator
from functools import partial
from pathlib import PurePosixPath
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from starlette.responses import FileResponse, Response

from api.dependencies import ServicesDep
from api.intake.job_id import JobId
from api.jobs.audio_formats import MEDIA_TYPES, WAV_HEADER_BYTES, Format, as_wav
from api.jobs.audio_stream import AnswerAudioStream
from api.jobs.job_feed import JobFeed
from api.middleware.connection_limits import mark_listener
from api.problems.render import Problem, responses
from api.responses.audio_file import WavFileResponse, no_answer, removed, text_alone
from api.responses.audio_response import AnswerAudioResponse, without_body
from api.responses.event_stream import EventStream, stream
from shared.errors import JobNotFound
from shared.queue.events import SegmentEvent
from shared.queue.stages import ends_in_speech

router = APIRouter(tags=["answers"])

_NOT_FOUND = (404, JobNotFound.code, JobNotFound.message)
_NO_AUDIO = (410, "no_audio", "This job ended without an answer. See /status/{job_id} for the reason.")
_RESTARTED = (412, "answer_restarted", "The answer has begun anew since. Ask for it without an offset, and forget …")
_NO_SEGMENT = (404, "no_such_segment", "There is no such segment, or not yet, or no more. See /audio/{job_id}.")
_NO_RANGE = (416, "no_such_range", "The file has no such range. It is 96,044 bytes long.")
_WAV_ONLY = (
    416,
    "offset_needs_wav",
    "An offset is for format=wav. Ask for that, or for the answer from its beginning.",
)
_TOO_MANY = (503, "too_many_encodings", "Too many answers are being sent in ogg or mp3. Try again in a moment, or …")
_LISTENERS = (503, "too_many_listeners", "Too many callers follow jobs at once. Try again in a moment, or poll …")

_RANGE = {
    "parameters": [
        {
            "name": "Range",
            "in": "header",
            "schema": {"type": "string"},
            "example": "bytes=0-9999",
            "description": "A part of a complete WAV. Ignored while the answer is being made, and for other formats.",
        }
    ]
}

#: As OpenAPI 3.2 describes each.
_EVENT = {
    "itemSchema": {
        "type": "object",
        "properties": {"event": {"type": "string"}, "id": {"type": "string"}, "data": {"type": "string"}},
    }
}

#: What a browser sends by itself when it connects again.
_EVENT_ID = r"\d{1,15}-\d{1,15}"

#: How an answer that is being made is tagged: by its generation.
_TAG = re.compile(r'\s*"(\d{1,9})"\s*')


async def _feed(request: Request, job_id: JobId, state: ServicesDep) -> AsyncIterator[JobFeed]:
    if await state.queue.job(job_id) is None:
        raise JobNotFound
    async with state.feeds.open(job_id) as feed:
        mark_listener(request.scope)
        yield feed


@router.get(
    "/events/{job_id}",
    summary="What happens to a job, as it happens",
    response_class=Response,  # of no type: FastAPI would call a stream a string
    responses={200: {"content": {"text/event-stream": _EVENT}}, **responses(_NOT_FOUND, _LISTENERS)},
)
async def events(
    job_id: JobId,
    feed: Annotated[JobFeed, Depends(_feed)],
    last_event_id: Annotated[
        str, Header(pattern=rf"^({_EVENT_ID})?$", description="The last event that is known; later ones are sent.")
    ] = "",
) -> EventStream:
    """Server-sent events, until the job has ended: `pending`, `position` (`ahead` and `wait_s`), `processing`,
    `transcript`, `text` (what has been added to the answer), `segment` (`url` and `duration_s` of a spoken piece),
    `stage_done`, `retrying`, `restarted` (the answer begins anew: forget its text, and segments before `first`),
    `revived` (a failed job is tried again), and at last `completed`, `failed` or `cancelled`."""
    return stream(feed, last_event_id)


@router.get(
    "/audio/{job_id}/segments/{index}",
    summary="One spoken piece of an answer",
    response_class=FileResponse,
    responses={200: {"description": "A WAV file.", "content": {"audio/wav": {}}}, **responses(_NOT_FOUND, _NO_SEGMENT)},
)
async def segment(job_id: JobId, index: Annotated[int, Path(ge=0, le=2**31)], state: ServicesDep) -> WavFileResponse:
    """What a `segment` event tells of. Segments are kept until an hour after the whole answer is there."""
    if await state.queue.job(job_id) is None:
        raise JobNotFound
    for event in await state.queue.events(job_id):
        if event["event"] == SegmentEvent.name and event["index"] == index:
            name = event["path"]
            open_file = partial(state.storage.open_segment, name)
            return WavFileResponse(open_file, PurePosixPath(name).name, Problem(*_NO_SEGMENT))
    raise Problem(*_NO_SEGMENT)


@router.head("/audio/{job_id}", include_in_schema=False)
@router.get(
    "/audio/{job_id}",
    summary="The spoken answer",
    response_class=FileResponse,
    openapi_extra=_RANGE,
    responses={
        200: {
            "description": "The sound, the rest of it as it is made.",
            "content": {media_type: {} for media_type in MEDIA_TYPES.values()},
        },
        206: {
            "description": "The part that the `Range` header asks for, or several.",
            "content": {"audio/wav": {}, "multipart/byteranges": {}},
        },
        **responses(_NOT_FOUND, _NO_AUDIO, _RESTARTED, _NO_RANGE, _WAV_ONLY, _TOO_MANY, _LISTENERS),
    },
)
async def audio(
    request: Request,
    job_id: JobId,
    state: ServicesDep,
    kind: Annotated[
        Format, Query(alias="format", description="`ogg` is Opus; like `mp3`, it is made while it is sent.")
    ] = "wav",
    offset: Annotated[
        int, Query(ge=0, le=2**40, description="The first byte of the WAV that is wanted, by whoever was cut off.")
    ] = 0,
    if_match: Annotated[
        str, Header(description="With an `offset`: the ETag of what was cut off, to be told if it has begun anew.")
    ] = "*",
) -> Response:
    """Send the answer: whole or, with a `Range` header, in part, if it is complete; else from its first segment on,
    while the others are being made. Where that breaks off, without the last chunk, the answer has begun anew or failed:
    see `/events`. A HEAD request is answered at once."""
    if offset and kind != "wav":
        raise Problem(*_WAV_ONLY)
    job = await state.queue.job(job_id)
    if job is None:
        raise JobNotFound
    if not ends_in_speech(job.route):
        raise text_alone(job_id)
    if job.has_ended and job.audio_path is None:
        raise no_answer(job_id)
    filename = f"{job_id}_response.{kind}"
    if job.audio_path and kind == "wav" and not offset:
        return WavFileResponse(partial(state.storage.open_answer, job_id), filename, removed())
    if request.method == "HEAD":
        return without_body(MEDIA_TYPES[kind], filename)
    mark_listener(request.scope)
    generation = _generation(if_match)
    spoken = AnswerAudioStream(
        state.feeds, state.queue, state.storage, job_id, max(offset - WAV_HEADER_BYTES, 0), generation
    )
    if kind != "wav":
        return AnswerAudioResponse(state.encoding.encoded(spoken.sounds(), kind), MEDIA_TYPES[kind], filename)
    pieces = as_wav(spoken.sounds(), offset)
    return AnswerAudioResponse(pieces, MEDIA_TYPES[kind], filename, tag=lambda: f'"{spoken.generation}"')


def _generation(if_match: str) -> int | None:
    """The generation that an ETag of ours names; None for any, and one that never is for a tag of somebody else's."""
    if if_match.strip() in ("", "*"):
        return None
    tag = _TAG.fullmatch(if_match)
    return int(tag[1]) if tag else -1
