"""Conversations: what is remembered of them, and forgetting it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from api.dependencies import ServicesDep
from api.intake.fields import CONVERSATION_ID
from api.problems.render import Problem, responses
from shared.queue.conversations import Conversation, Conversations

router = APIRouter(tags=["conversations"])

_NOT_FOUND = (
    404,
    "conversation_not_found",
    "There is no conversation with this id. It may have been deleted, or forgotten after its time.",
)

#: Said in the OpenAPI document, but left to us: FastAPI would answer 422 to what is simply no conversation.
_DESCRIBED = Path(examples=["kitchen-7f3a"], json_schema_extra={"pattern": f"^{CONVERSATION_ID.pattern}$"})


def _checked(conversation_id: Annotated[str, _DESCRIBED]) -> str:
    if not CONVERSATION_ID.fullmatch(conversation_id):
        raise Problem(*_NOT_FOUND)
    return conversation_id


ConversationId = Annotated[str, Depends(_checked)]


@router.get(
    "/conversations/{conversation_id}", summary="What is remembered of a conversation", responses=responses(_NOT_FOUND)
)
async def conversation(conversation_id: ConversationId, state: ServicesDep) -> Conversation:
    """Its turns, of which the latest hundred are kept, and the language and voice that a next turn need not name. A
    turn that is under way has no answer yet; one that was cancelled or deleted is not there."""
    found = await Conversations(state.queue).find(conversation_id)
    if found is None:
        raise Problem(*_NOT_FOUND)
    return found


@router.delete(
    "/conversations/{conversation_id}",
    status_code=204,
    summary="Forget a conversation",
    responses=responses(_NOT_FOUND),
)
async def delete(conversation_id: ConversationId, state: ServicesDep) -> None:
    """Erase what is remembered. Jobs that are under way go on, but are not remembered; each job's own text and audio
    stay until their time is over or the job is deleted."""
    if not await Conversations(state.queue).delete(conversation_id):
        raise Problem(*_NOT_FOUND)
