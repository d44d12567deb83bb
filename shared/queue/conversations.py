"""Conversations: what was said and answered in them, as the queue has remembered it turn by turn."""

from collections.abc import Iterator
from datetime import UTC, datetime

from pydantic import BaseModel, Field

from shared.errors import QueueUnreadable
from shared.queue.keys import KEYS
from shared.queue.queue import Queue


class Turn(BaseModel):
    """One thing that was said, and its answer."""

    job_id: str = Field(examples=["3f2b8c1e9d4a4f6f8b7a6c5d4e3f2a1b"])
    user: str = Field(description="What was said, or asked in writing.")
    assistant: str | None = Field(description="What was answered; null where there is no answer, or not yet.")
    at: datetime = Field(description="When it was sent.")


class Conversation(BaseModel):
    """What is remembered of a conversation."""

    conversation_id: str = Field(examples=["kitchen-7f3a"])
    language: str | None = Field(description="Spoken last; taken for a turn that names none.")
    voice: str | None = Field(description="Heard last of those that were asked for; taken for a turn that names none.")
    turns: list[Turn] = Field(description="In the order in which they were sent, as far as it is known what was said.")
    expires_in_s: float = Field(description="Forgotten after so many seconds without another turn.")


class Conversations:
    """A further face of the queue. Raises what the queue raises."""

    def __init__(self, queue: Queue) -> None:
        self._redis = queue.redis

    async def find(self, conversation_id: str) -> Conversation | None:
        """None if it never was, has expired or been deleted."""
        reply = await self._redis.run("conversation", conversation_id)
        if not reply:
            return None
        pairs = iter(reply[0])
        fields = dict(zip(pairs, pairs, strict=True))
        try:
            return Conversation(
                conversation_id=conversation_id,
                language=fields.get("language"),
                voice=fields.get("voice"),
                turns=list(_turns(fields)),
                expires_in_s=max(reply[1], 0) / 1000,
            )
        except (LookupError, ValueError, OverflowError) as error:  # somebody else has written into it
            raise QueueUnreadable from error

    async def delete(self, conversation_id: str) -> bool:
        """Forget it, so that no job that is still under way can bring it back; False if there is none."""
        return bool(await self._redis.ask("delete", KEYS["CONVERSATION"] + conversation_id))


def _turns(fields: dict[str, str]) -> Iterator[Turn]:
    numbers = [int(name.removeprefix("user:")) for name in fields if name.startswith("user:")]
    for number in sorted(numbers):
        yield Turn(
            job_id=fields[f"job:{number}"],
            user=fields[f"user:{number}"],
            assistant=fields.get(f"assistant:{number}"),
            at=datetime.fromtimestamp(int(fields[f"at:{number}"]) / 1000, tz=UTC),
        )
