"""Jobs: upload, status, removal."""

import asyncio
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Query, Request, Response

from api.dependencies import ServicesDep
from api.intake.fields import DESCRIPTIONS, MAX_PROMPT_CHARS, or_nothing
from api.intake.job_id import JobId
from api.intake.multipart import FILE_FIELD, receive_upload
from api.jobs import submit as submission
from api.jobs.cleanup import erase_job
from api.jobs.submit import Accepted, IdempotencyKey, JobRequest, accepted, make_room, submit
from api.problems.render import responses
from shared.errors import JobNotFound
from shared.logs import get_logger
from shared.queue import job_fields
from shared.queue.job import Job
from shared.queue.stages import SPEECH_TO_SPEECH, RecordingRoute

router = APIRouter(tags=["jobs"])

_NOT_FOUND = (404, JobNotFound.code, JobNotFound.message)


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
                            "pattern": or_nothing("language"),
                            "description": "The language that is spoken, such as `en`; without it, it is detected.",
                            "examples": ["en"],
                        },
                        "voice": {
                            "type": "string",
                            "pattern": or_nothing("voice"),
                            "description": DESCRIPTIONS["voice"],
                        },
                        "conversation_id": {
                            "type": "string",
                            "pattern": or_nothing("conversation_id"),
                            "description": DESCRIPTIONS["conversation_id"],
                        },
                        "system_prompt": {
                            "type": "string",
                            "maxLength": MAX_PROMPT_CHARS,
                            "description": DESCRIPTIONS["system_prompt"],
                        },
                    },
                },
                # What its first bytes say counts, whatever type it is sent as.
                "encoding": {FILE_FIELD: {"contentType": "audio/*"}},
            }
        },
    }
}


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
        *submission.PROBLEMS,
        (507, "storage_full", "The service has no disk space left."),
    ),
)
async def transcribe(
    request: Request,
    response: Response,
    state: ServicesDep,
    route: Annotated[
        RecordingRoute,
        Query(description="The stages to pass: recognize only, answer in writing, or answer in speech."),
    ] = SPEECH_TO_SPEECH,
    idempotency_key: IdempotencyKey = "",
) -> Accepted:
    """Store the recording and start its way through speech recognition, the language model and speech synthesis."""
    await make_room(state, idempotency_key)
    own_id = uuid4().hex
    upload = await receive_upload(request, state.storage, state.intake, own_id, state.settings.max_upload_bytes)
    texts = dict(upload.texts)
    conversation_id = texts.pop("conversation_id", "")
    if "language" in texts:  # told to the recognizer, which tells what it has heard
        texts[job_fields.LANGUAGE_HINT] = texts.pop("language")
    order = JobRequest(route, texts, conversation_id, upload.digest, log={"bytes": upload.size})
    return accepted(await submit(state, own_id, order, idempotency_key), route, response)


@router.get("/status/{job_id}", summary="How a job stands", responses=responses(_NOT_FOUND))
async def status(
    job_id: JobId,
    state: ServicesDep,
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
async def delete(job_id: JobId, state: ServicesDep) -> None:
    """End the job if it still runs, and erase its text, audio and turn of a conversation. A job that was running stays
    visible as `cancelled` for the retention time; one that had ended is gone altogether."""
    verdict = await state.queue.cancel(job_id)
    if verdict == "gone":
        raise JobNotFound
    while verdict == "over" and not await erase_job(state.queue, state.storage, job_id, with_turn=True):
        verdict = await state.queue.cancel(job_id)  # somebody had it tried again meanwhile
    if verdict == "cancelled":
        await asyncio.to_thread(state.storage.erase, job_id)
    get_logger().info("job_deleted", job=job_id, verdict=verdict)
