"""Conversations: their turns, as the queue saves them."""

from collections.abc import Iterator
from datetime import UTC, datetime

from pydantic import BaseModel, Field

from shared.errors import QueueUnreadable
from shared.queue.keys import KEYS, TURN_FIELDS
from shared.queue.queue import Queue


class Turn(BaseModel):
    """A question and its answer."""

    job_id: str = Field(examples=["3f2b8c1e9d4a4f6f8b7a6c5d4e3f2a1b"])
    user: str = Field(description="The transcript of the recording, or the written question.")
    assistant: str | None = Field(description="The answer; null where there is none, or none yet.")
    at: datetime = Field(description="When it was sent.")


class Conversation(BaseModel):
    """A conversation as far as it is saved."""

    conversation_id: str = Field(examples=["kitchen-7f3a"])
    language: str | None = Field(description="The latest turn's language, for a turn that names none.")
    voice: str | None = Field(description="The voice that was asked for last and used, for a turn that names none.")
    turns: list[Turn] = Field(description="In the order in which they were sent, once their question is known.")
    expires_in_s: float = Field(description="Seconds until it is deleted, unless another turn comes.")


class Conversations:
    """Reads and deletes conversations. Raises what the queue raises."""

    def __init__(self, queue: Queue) -> None:
        self._client = queue.client

    async def find(self, conversation_id: str) -> Conversation | None:
        """Return a conversation, or None if it never was, has expired or was deleted."""
        reply = await self._client.run_script("conversation", conversation_id)
        if not reply:
            return None
        pairs = iter(reply[0])
        fields = dict(zip(pairs, pairs, strict=True))
        try:
            return Conversation(
                conversation_id=conversation_id,
                language=fields.get(TURN_FIELDS["language"]),
                voice=fields.get(TURN_FIELDS["voice"]),
                turns=list(_turns(fields)),
                expires_in_s=max(reply[1], 0) / 1000,
            )
        except (LookupError, ValueError, OverflowError) as error:  # another program has changed it
            raise QueueUnreadable from error

    async def delete(self, conversation_id: str) -> bool:
        """Delete a conversation for good: a commit of a job that still runs does not restore it. Return False if there
        is none."""
        return bool(await self._client.command("delete", KEYS["CONVERSATION"] + conversation_id))


def _turns(fields: dict[str, str]) -> Iterator[Turn]:
    user = TURN_FIELDS["user"]
    numbers = [int(name.removeprefix(user)) for name in fields if name.startswith(user)]
    for number in sorted(numbers):
        yield Turn(
            job_id=fields[f"{TURN_FIELDS['job']}{number}"],
            user=fields[f"{user}{number}"],
            assistant=fields.get(f"{TURN_FIELDS['assistant']}{number}"),
            at=datetime.fromtimestamp(int(fields[f"{TURN_FIELDS['at']}{number}"]) / 1000, tz=UTC),
        )
