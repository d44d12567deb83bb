"""Jobs: upload, status, removal."""

import asyncio
import hashlib
from typing import Annotated
from uuid import uuid4

import structlog
from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, Field

from api.admission import admit, full
from api.housekeeping import erase_job
from api.job_id import JobId
from api.problems import Problem, responses
from api.state import State, StateDep
from api.upload import FILE_FIELD, TEXT_FIELDS, Upload, receive_upload
from shared.errors import JobNotFound, QueueFull
from shared.job import SPEECH_TO_SPEECH, Job, task_name

router = APIRouter(tags=["jobs"])

_NOT_FOUND = (404, JobNotFound.code, JobNotFound.message)


def _or_nothing(field: str) -> str:
    """The pattern of a text field, which an empty one meets as well."""
    return rf"^\s*({TEXT_FIELDS[field].pattern})?\s*$"


_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FILE_FIELD],
                    "additionalProperties": False,
                    "properties": {
                        FILE_FIELD: {
                            "type": "string",
                            "format": "binary",
                            "description": "The recording: wav, mp3, m4a, ogg, opus, webm or flac.",
                        },
                        "language": {
                            "type": "string",
                            "pattern": _or_nothing("language"),
                            "description": "The language that is spoken, such as `en`; without it, it is detected.",
                            "examples": ["en"],
                        },
                        "voice": {
                            "type": "string",
                            "pattern": _or_nothing("voice"),
                            "description": "Another voice than the service's own.",
                        },
                        "system_prompt": {
                            "type": "string",
                            "maxLength": 4000,
                            "description": "How the model is to answer.",
                        },
                    },
                },
                # What its first bytes say counts, whatever type it is sent as.
                "encoding": {FILE_FIELD: {"contentType": "audio/*"}},
            }
        },
    }
}


class Accepted(BaseModel):
    """A job has been made of the upload."""

    message: str = Field(examples=["Accepted. Follow events_url or poll status_url; …"])
    job_id: str = Field(examples=["3f2b8c1e9d4a4f6f8b7a6c5d4e3f2a1b"])
    status_url: str = Field(examples=["/status/3f2b8c1e9d4a4f6f8b7a6c5d4e3f2a1b"])
    audio_url: str = Field(examples=["/audio/3f2b8c1e9d4a4f6f8b7a6c5d4e3f2a1b"])
    events_url: str = Field(examples=["/events/3f2b8c1e9d4a4f6f8b7a6c5d4e3f2a1b"])


@router.post(
    "/transcribe",
    status_code=202,
    summary="Send a recording, get a job",
    openapi_extra=_FORM,
    responses=responses(
        (400, "incomplete_upload", "The upload ended before the form was complete."),
        (408, "upload_stalled", "The upload came too slowly. Send it again."),
        (413, "file_too_large", "The recording is larger than 25 MB. Send a shorter or compressed one."),
        (415, "unsupported_media_type", "The file in audio_file is not audio of a kind that is accepted: wav, mp3, …"),
        (422, "missing_file", "Send the recording in the form's field audio_file."),
        (422, "idempotency_key_reused", "This Idempotency-Key came with another upload before. Use a new key."),
        (503, QueueFull.code, QueueFull.message),
        (503, "queue_memory_full", "The job queue has no memory left for more jobs. Try again later."),
        (503, "too_many_uploads", "Too many recordings are being received at once. Try again in a moment."),
        (507, "storage_full", "The service has no disk space left."),
    ),
)
async def transcribe(
    request: Request,
    response: Response,
    state: StateDep,
    idempotency_key: Annotated[
        str,
        Header(
            max_length=255,
            description="A word of the caller's own: a repeated upload with the same word returns the first job.",
        ),
    ] = "",
) -> Accepted:
    """Store the recording and start its way through speech recognition, the language model and speech synthesis."""
    key = hashlib.sha256(idempotency_key.encode()).hexdigest() if idempotency_key else ""
    # Asked before the body is read: while Redis is away, each repeated upload would leave its file on the volume.
    await admit(state.queue, state.settings.max_live_jobs, key)
    own_id = uuid4().hex
    upload = await receive_upload(request, state.storage, state.intake, own_id, state.settings.max_upload_bytes)
    job_id = await _submit(state, own_id, upload, key)
    status_url = f"/status/{job_id}"
    response.headers["Location"] = status_url
    return Accepted(
        message="Accepted. Follow events_url or poll status_url; audio_url plays while the answer is being made.",
        job_id=job_id,
        status_url=status_url,
        audio_url=f"/audio/{job_id}",
        events_url=f"/events/{job_id}",
    )


async def _submit(state: State, own_id: str, upload: Upload, idempotency_key: str) -> str:
    """The id of the job that stands for the upload. Where Redis does not answer, the file stays: the job may have been
    accepted all the same, and housekeeping removes it otherwise."""
    names = {"language": "language_hint"}
    fields = {names.get(name, name): text for name, text in upload.texts.items()}
    fields |= {"route": SPEECH_TO_SPEECH, "upload_digest": upload.digest}
    try:
        job_id = await state.queue.submit(
            own_id,
            fields,
            [(task_name("stt", own_id), "")],
            max_live=state.settings.max_live_jobs,
            idempotency_key=idempotency_key,
        )
    except QueueFull:
        await asyncio.to_thread(state.storage.erase, own_id)
        raise full(await state.queue.load(), state.settings.max_live_jobs) from None
    if job_id != own_id:
        await asyncio.to_thread(state.storage.erase, own_id)
        # A job that has been cancelled has forgotten what it was made of.
        if (await state.queue.fields(job_id)).get("upload_digest") not in (None, upload.digest):
            detail = "This Idempotency-Key came with another upload before. Use a new key for a new upload."
            raise Problem(422, "idempotency_key_reused", detail)
    else:
        structlog.get_logger().info("job_accepted", job=job_id, bytes=upload.size)
    return job_id


@router.get("/status/{job_id}", summary="How a job stands", responses=responses(_NOT_FOUND))
async def status(
    job_id: JobId,
    state: StateDep,
    wait: Annotated[
        float, Query(ge=0, le=60, description="Answer when the job has ended, at the latest after so many seconds.")
    ] = 0,
) -> Job:
    """Everything that is known of a job: its stage, the texts, the engines that worked on it, and its waterfall."""
    job = await (state.changes.until_ended(job_id, wait) if wait else state.queue.job(job_id))
    if job is None:
        raise JobNotFound
    return job.model_copy(update={"audio_url": f"/audio/{job_id}"}) if job.audio_path else job


@router.delete("/jobs/{job_id}", status_code=204, summary="Cancel and erase", responses=responses(_NOT_FOUND))
async def delete(job_id: JobId, state: StateDep) -> None:
    """End the job if it still runs, and erase its text and audio. A job that was running stays visible as `cancelled`
    for the retention time; one that had ended is gone altogether."""
    verdict = await state.queue.cancel(job_id)
    if verdict == "gone":
        raise JobNotFound
    while verdict == "over" and not await erase_job(state.queue, state.storage, job_id):
        verdict = await state.queue.cancel(job_id)  # somebody had it tried again meanwhile
    if verdict == "cancelled":
        await asyncio.to_thread(state.storage.erase, job_id)
    structlog.get_logger().info("job_deleted", job=job_id, verdict=verdict)
