"""The audio of an answer: the complete file, a stream from the first segment on, or one segment."""

import re
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request
from starlette.responses import FileResponse, Response

from api.dependencies import Services, ServicesDep
from api.http_protocol.listeners import mark_listener
from api.intake.job_id import JobId
from api.jobs.audio_formats import MEDIA_TYPES, WAV_HEADER_BYTES, AudioFormat, stream_wav
from api.jobs.audio_stream import AnswerAudioStream, no_audio_problem
from api.problems.body import responses
from api.problems.catalogue import Problems
from api.problems.job_problems import NoAudioReason
from api.problems.problem import Problem
from api.responses.audio_file import WavFileResponse
from api.responses.audio_response import AnswerAudioResponse, headers_response
from shared.errors import JobNotFound
from shared.queue.events import SegmentEvent
from shared.queue.job import Job
from shared.queue.stages import ends_in_speech

router = APIRouter(tags=["answers"])

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

#: The ETag of a stream: the answer's generation.
_ETAG = re.compile(r'\s*"(\d{1,9})"\s*')


@router.get(
    "/audio/{job_id}/segments/{index}",
    summary="One segment of an answer",
    response_class=FileResponse,
    responses={
        200: {"description": "A WAV file.", "content": {"audio/wav": {}}},
        **responses(Problems.JOB_NOT_FOUND, Problems.NO_SUCH_SEGMENT),
    },
)
async def segment(job_id: JobId, index: Annotated[int, Path(ge=0, le=2**31)], services: ServicesDep) -> WavFileResponse:
    """The segment that a `segment` event announces. Segments are kept until an hour after the answer is complete."""
    no_such_segment = Problem(Problems.NO_SUCH_SEGMENT, job_id=job_id)
    if await services.queue.job(job_id) is None:
        raise JobNotFound
    for event in await services.queue.events(job_id):
        if event["event"] == SegmentEvent.name and event["index"] == index:
            open_segment = partial(services.storage.open_segment, event["path"])
            return WavFileResponse(open_segment, no_such_segment)
    raise no_such_segment


@router.head("/audio/{job_id}", include_in_schema=False)
@router.get(
    "/audio/{job_id}",
    summary="The answer as speech",
    response_class=FileResponse,
    openapi_extra=_RANGE,
    responses={
        200: {
            "description": "The audio. Parts that do not exist yet are sent as they are made.",
            "content": {media_type: {} for media_type in MEDIA_TYPES.values()},
        },
        206: {
            "description": "The part that the `Range` header requests, or several.",
            "content": {"audio/wav": {}, "multipart/byteranges": {}},
        },
        **responses(
            Problems.JOB_NOT_FOUND,
            Problems.NO_AUDIO,
            Problems.ANSWER_RESTARTED,
            Problems.NO_SUCH_RANGE,
            Problems.OFFSET_NEEDS_WAV,
            Problems.TOO_MANY_ENCODINGS,
            Problems.TOO_MANY_LISTENERS,
        ),
    },
)
async def audio(
    request: Request,
    job_id: JobId,
    services: ServicesDep,
    audio_format: Annotated[
        AudioFormat, Query(alias="format", description="`ogg` is Opus; like `mp3`, it is encoded while it is sent.")
    ] = "wav",
    offset: Annotated[
        int, Query(ge=0, le=2**40, description="The first byte of the WAV to send, for a client that was cut off.")
    ] = 0,
    if_match: Annotated[
        str, Header(description="With an `offset`: the ETag of the first response. 412 if the answer was restarted.")
    ] = "*",
) -> Response:
    """Send the answer: whole or, with a `Range` header, in part, if it is complete; else from its first segment on,
    while the others are being made. A stream that breaks off, without the last chunk, means that the answer was
    restarted or has failed: see `/events`. A HEAD request is answered at once."""
    if offset and audio_format != "wav":
        raise Problem(Problems.OFFSET_NEEDS_WAV)
    job = await _job_with_audio(services, job_id)
    filename = f"{job_id}_response.{audio_format}"
    if job.audio_path and audio_format == "wav" and not offset:
        removed_problem = no_audio_problem(NoAudioReason.REMOVED, job_id)
        return WavFileResponse(partial(services.storage.open_answer, job_id), removed_problem)
    if request.method == "HEAD":
        return headers_response(MEDIA_TYPES[audio_format], filename)
    mark_listener(request.scope)
    generation = _generation(if_match)
    stream = AnswerAudioStream(services, job_id, max(offset - WAV_HEADER_BYTES, 0), generation)
    if audio_format == "wav":
        chunks = stream_wav(stream.blocks(), offset)
        return AnswerAudioResponse(chunks, MEDIA_TYPES["wav"], filename, etag=lambda: f'"{stream.generation}"')
    return AnswerAudioResponse(
        services.encoders.encode(stream.blocks(), audio_format), MEDIA_TYPES[audio_format], filename
    )


async def _job_with_audio(services: Services, job_id: str) -> Job:
    """The job, if it has audio or will have some.

    Raises:
        JobNotFound, Problem: there is none.
    """
    job = await services.queue.job(job_id)
    if job is None:
        raise JobNotFound
    if not ends_in_speech(job.route):
        raise no_audio_problem(NoAudioReason.TEXT_ONLY, job_id)
    if job.has_ended and job.audio_path is None:
        raise no_audio_problem(NoAudioReason.NO_ANSWER, job_id)
    return job


def _generation(if_match: str) -> int | None:
    """The generation in an ETag of this route; None for any, and -1, which no answer has, for a foreign tag."""
    if if_match.strip() in ("", "*"):
        return None
    etag = _ETAG.fullmatch(if_match)
    return int(etag[1]) if etag else -1
