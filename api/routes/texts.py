"""Texts instead of recordings: a question to answer, or a text to synthesize as it is."""

from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.dependencies import ServicesDep
from api.intake.fields import DESCRIPTIONS, MAX_PROMPT_CHARS, optional_pattern, validate_field
from api.intake.idempotency_key import IdempotencyKey
from api.intake.json_body import JSON_BODY_PROBLEMS, NOT_BLANK, receive_json, strip_text
from api.jobs.submit import SUBMISSION_PROBLEMS, JobRequest, check_room, submit
from api.problems.body import responses
from api.problems.catalogue import Problems
from api.responses.accepted import Accepted, accepted
from shared.queue import job_fields
from shared.queue.stages import SYNTHESIS_ONLY, TEXT_TO_SPEECH

router = APIRouter(tags=["jobs"])

MAX_QUESTION_CHARS = 4_000

#: Twenty minutes of speech.
MAX_SPEECH_CHARS = 20_000


def _none_if_empty(name: str) -> AfterValidator:
    """A validator of the field `name` that turns a blank value into None."""
    return AfterValidator(lambda text: validate_field(name, text or "") or None)


def _text(max_chars: int, description: str, example: str) -> Any:
    return Field(
        max_length=max_chars, description=description, examples=[example], json_schema_extra={"pattern": NOT_BLANK}
    )


def _optional(name: str) -> Any:
    return Field(default=None, description=DESCRIPTIONS[name], json_schema_extra={"pattern": optional_pattern(name)})


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    language: Annotated[str | None, _none_if_empty("language")] = _optional("language")
    voice: Annotated[str | None, _none_if_empty("voice")] = _optional("voice")


class SpeakRequest(_Body):
    """A text to synthesize."""

    text: Annotated[str, AfterValidator(strip_text)] = _text(
        MAX_SPEECH_CHARS,
        "The text to synthesize; of Markdown, the words that a person would read out.",
        "Dinner is ready.",
    )


class AskRequest(_Body):
    """A question to answer."""

    text: Annotated[str, AfterValidator(strip_text)] = _text(
        MAX_QUESTION_CHARS, "The question to answer.", "What is seven plus five?"
    )
    system_prompt: Annotated[str | None, _none_if_empty("system_prompt")] = Field(
        default=None, max_length=MAX_PROMPT_CHARS, description=DESCRIPTIONS["system_prompt"]
    )
    conversation_id: Annotated[str | None, _none_if_empty("conversation_id")] = _optional("conversation_id")


_PROBLEMS = responses(*JSON_BODY_PROBLEMS, *SUBMISSION_PROBLEMS, Problems.TOO_MANY_UPLOADS)


def _body(model: type[BaseModel]) -> dict[str, Any]:
    """The OpenAPI entry of a body, which FastAPI writes only for bodies that it parses."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": model.model_json_schema()}}}}


@router.post(
    "/ask",
    status_code=202,
    summary="Send a written question, get a job",
    openapi_extra=_body(AskRequest),
    responses=_PROBLEMS,
)
async def ask(
    request: Request, response: Response, services: ServicesDep, idempotency_key: IdempotencyKey = ""
) -> Accepted:
    """Answer a written question, in speech."""
    await check_room(services, idempotency_key)
    ask_request = await receive_json(request, services.upload_slots, AskRequest)
    fields = ask_request.model_dump(exclude_none=True)
    fields[job_fields.TRANSCRIPT] = fields.pop("text")
    job_request = JobRequest(TEXT_TO_SPEECH, fields, conversation_id=fields.pop("conversation_id", ""))
    job_id = await submit(services, uuid4().hex, job_request, idempotency_key)
    return accepted(job_id, job_request.route, response)


@router.post(
    "/speak",
    status_code=202,
    summary="Send a text to synthesize, get a job",
    openapi_extra=_body(SpeakRequest),
    responses=_PROBLEMS,
)
async def speak(
    request: Request, response: Response, services: ServicesDep, idempotency_key: IdempotencyKey = ""
) -> Accepted:
    """Synthesize a text."""
    await check_room(services, idempotency_key)
    speak_request = await receive_json(request, services.upload_slots, SpeakRequest)
    fields = speak_request.model_dump(exclude_none=True)
    fields[job_fields.RESPONSE] = fields.pop("text")
    job_request = JobRequest(SYNTHESIS_ONLY, fields)
    job_id = await submit(services, uuid4().hex, job_request, idempotency_key)
    return accepted(job_id, job_request.route, response)
