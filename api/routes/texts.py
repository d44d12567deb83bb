"""Texts instead of recordings: to be answered, or to be spoken as they are."""

from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.dependencies import ServicesDep
from api.intake import json_body
from api.intake.fields import DESCRIPTIONS, MAX_PROMPT_CHARS, checked, or_nothing
from api.intake.json_body import NO_BLANK, not_blank, receive_json
from api.jobs import submit as submission
from api.jobs.submit import Accepted, IdempotencyKey, JobRequest, accepted, make_room, submit
from api.problems.render import responses
from shared.queue import job_fields
from shared.queue.stages import SYNTHESIS_ONLY, TEXT_TO_SPEECH

router = APIRouter(tags=["jobs"])

MAX_QUESTION_CHARS = 4_000

#: Twenty minutes of speech.
MAX_SPEECH_CHARS = 20_000


def _given(name: str) -> AfterValidator:
    """What was given under that name, or None."""
    return AfterValidator(lambda text: checked(name, text or "") or None)


def _text(max_chars: int, description: str, example: str) -> Any:
    return Field(
        max_length=max_chars, description=description, examples=[example], json_schema_extra={"pattern": NO_BLANK}
    )


def _optional(name: str) -> Any:
    return Field(default=None, description=DESCRIPTIONS[name], json_schema_extra={"pattern": or_nothing(name)})


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    language: Annotated[str | None, _given("language")] = _optional("language")
    voice: Annotated[str | None, _given("voice")] = _optional("voice")


class Speech(_Body):
    """A text that is to be spoken."""

    text: Annotated[str, AfterValidator(not_blank)] = _text(
        MAX_SPEECH_CHARS, "What is to be spoken; of Markdown, what a person would read out.", "Dinner is ready."
    )


class Question(_Body):
    """A text that is to be answered."""

    text: Annotated[str, AfterValidator(not_blank)] = _text(
        MAX_QUESTION_CHARS, "What is to be answered.", "What is seven plus five?"
    )
    system_prompt: Annotated[str | None, _given("system_prompt")] = Field(
        default=None, max_length=MAX_PROMPT_CHARS, description=DESCRIPTIONS["system_prompt"]
    )
    conversation_id: Annotated[str | None, _given("conversation_id")] = _optional("conversation_id")


_PROBLEMS = responses(*json_body.PROBLEMS, *submission.PROBLEMS)


def _body(kind: type[BaseModel]) -> dict[str, Any]:
    """What FastAPI would write of a body, had it to read it."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": kind.model_json_schema()}}}}


@router.post(
    "/ask", status_code=202, summary="Send a question, get a job", openapi_extra=_body(Question), responses=_PROBLEMS
)
async def ask(
    request: Request, response: Response, state: ServicesDep, idempotency_key: IdempotencyKey = ""
) -> Accepted:
    """Have a written question answered, and the answer spoken."""
    await make_room(state, idempotency_key)
    question = await receive_json(request, state.intake, Question)
    fields = question.model_dump(exclude_none=True)
    fields[job_fields.TRANSCRIPT] = fields.pop("text")
    order = JobRequest(TEXT_TO_SPEECH, fields, conversation_id=fields.pop("conversation_id", ""))
    return accepted(await submit(state, uuid4().hex, order, idempotency_key), order.route, response)


@router.post(
    "/speak", status_code=202, summary="Send a text, get a job", openapi_extra=_body(Speech), responses=_PROBLEMS
)
async def speak(
    request: Request, response: Response, state: ServicesDep, idempotency_key: IdempotencyKey = ""
) -> Accepted:
    """Have a text spoken."""
    await make_room(state, idempotency_key)
    speech = await receive_json(request, state.intake, Speech)
    fields = speech.model_dump(exclude_none=True)
    fields[job_fields.RESPONSE] = fields.pop("text")
    order = JobRequest(SYNTHESIS_ONLY, fields)
    return accepted(await submit(state, uuid4().hex, order, idempotency_key), order.route, response)
