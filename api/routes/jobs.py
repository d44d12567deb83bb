"""Jobs: submit a recording, read the status, cancel and erase."""

from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Query, Request, Response

from api.dependencies import ServicesDep
from api.intake.fields import DESCRIPTIONS, MAX_PROMPT_CHARS, optional_pattern
from api.intake.idempotency_key import IdempotencyKey
from api.intake.job_id import JobId
from api.intake.multipart import FILE_FIELD, receive_upload
from api.jobs.cleanup import cancel_job
from api.jobs.submit import SUBMISSION_PROBLEMS, JobRequest, check_room, submit
from api.problems.body import responses
from api.problems.catalogue import Problems
from api.responses.accepted import Accepted, accepted
from shared.errors import JobNotFound
from shared.queue import job_fields
from shared.queue.job import Job
from shared.queue.stages import SPEECH_TO_SPEECH, RecordingRoute

router = APIRouter(tags=["jobs"])

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
                            "pattern": optional_pattern("language"),
                            "description": "The language of the recording, such as `en`; detected if absent.",
                            "examples": ["en"],
                        },
                        "voice": {
                            "type": "string",
                            "pattern": optional_pattern("voice"),
                            "description": DESCRIPTIONS["voice"],
                        },
                        "conversation_id": {
                            "type": "string",
                            "pattern": optional_pattern("conversation_id"),
                            "description": DESCRIPTIONS["conversation_id"],
                        },
                        "system_prompt": {
                            "type": "string",
                            "maxLength": MAX_PROMPT_CHARS,
                            "description": DESCRIPTIONS["system_prompt"],
                        },
                    },
                },
                # Its format is recognized by its first bytes, whatever type it is sent as.
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
        Problems.INCOMPLETE_UPLOAD,
        Problems.UPLOAD_STALLED,
        Problems.FILE_TOO_LARGE,
        Problems.UNSUPPORTED_MEDIA_TYPE,
        Problems.MISSING_FILE,
        *SUBMISSION_PROBLEMS,
        Problems.TOO_MANY_UPLOADS,
        Problems.STORAGE_FULL,
    ),
)
async def transcribe(
    request: Request,
    response: Response,
    services: ServicesDep,
    route: Annotated[
        RecordingRoute,
        Query(description="The stages of the job: transcribe only, answer in text, or answer in speech."),
    ] = SPEECH_TO_SPEECH,
    idempotency_key: IdempotencyKey = "",
) -> Accepted:
    """Store the recording, and submit a job that passes speech recognition, the language model and speech synthesis."""
    await check_room(services, idempotency_key)
    own_id = uuid4().hex
    upload = await receive_upload(
        request, services.storage, services.upload_slots, own_id, services.settings.max_upload_bytes
    )
    texts = dict(upload.texts)
    conversation_id = texts.pop("conversation_id", "")
    if "language" in texts:  # a hint to the recognizer, whose result will be the field `language`
        texts[job_fields.LANGUAGE_HINT] = texts.pop("language")
    job_request = JobRequest(route, texts, conversation_id, upload.digest, log={"bytes": upload.size})
    job_id = await submit(services, own_id, job_request, idempotency_key)
    return accepted(job_id, route, response)


@router.get("/status/{job_id}", summary="The status of a job", responses=responses(Problems.JOB_NOT_FOUND))
async def status(
    job_id: JobId,
    services: ServicesDep,
    wait: Annotated[
        float, Query(ge=0, le=60, description="The longest time to wait for the end of the job, in seconds.")
    ] = 0,
) -> Job:
    """All fields of a job: its stage, the texts, the engines that worked on it, and its waterfall of times."""
    job = await (services.changes.wait_for_end(job_id, wait) if wait else services.queue.job(job_id))
    if job is None:
        raise JobNotFound
    return job.model_copy(update={"audio_url": f"/audio/{job_id}"}) if job.audio_path else job


@router.delete(
    "/jobs/{job_id}", status_code=204, summary="Cancel and erase a job", responses=responses(Problems.JOB_NOT_FOUND)
)
async def delete(job_id: JobId, services: ServicesDep) -> None:
    """Cancel the job if it still runs, and erase its text, audio and turn of a conversation. A job that was running
    stays visible as `cancelled` for the retention time; one that had ended is erased altogether."""
    await cancel_job(services.queue, services.storage, job_id)
