"""Conversations: read them, and delete them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from api.dependencies import ServicesDep
from api.intake.fields import CONVERSATION_ID
from api.problems.body import responses
from api.problems.catalogue import Problems
from api.problems.problem import Problem
from shared.queue.conversations import Conversation, Conversations

router = APIRouter(tags=["conversations"])

#: Documented in the OpenAPI document, but not validated by FastAPI, which would answer 422 for an id that no
#: conversation has.
_PATH = Path(examples=["kitchen-7f3a"], json_schema_extra={"pattern": f"^{CONVERSATION_ID.pattern}$"})


def _validate(conversation_id: Annotated[str, _PATH]) -> str:
    if not CONVERSATION_ID.fullmatch(conversation_id):
        raise Problem(Problems.CONVERSATION_NOT_FOUND)
    return conversation_id


ConversationId = Annotated[str, Depends(_validate)]


@router.get(
    "/conversations/{conversation_id}",
    summary="The turns of a conversation",
    responses=responses(Problems.CONVERSATION_NOT_FOUND),
)
async def conversation(conversation_id: ConversationId, services: ServicesDep) -> Conversation:
    """The latest hundred turns of a conversation, and the language and voice that its next turn has by default. A turn
    whose job still runs has no answer yet; cancelled and deleted turns are left out."""
    found = await Conversations(services.queue).find(conversation_id)
    if found is None:
        raise Problem(Problems.CONVERSATION_NOT_FOUND)
    return found


@router.delete(
    "/conversations/{conversation_id}",
    status_code=204,
    summary="Delete a conversation",
    responses=responses(Problems.CONVERSATION_NOT_FOUND),
)
async def delete(conversation_id: ConversationId, services: ServicesDep) -> None:
    """Erase the turns of a conversation. Jobs that still run go on, but are not added to it; each job's own text and
    audio stay until their retention ends or the job is deleted."""
    if not await Conversations(services.queue).delete(conversation_id):
        raise Problem(Problems.CONVERSATION_NOT_FOUND)
