"""From a request to a job: what all routes that make one share."""

import asyncio
import hashlib
import json
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Header, Response
from pydantic import BaseModel, Field

from api.dependencies import Services
from api.jobs.admission import admit, full
from api.problems.render import Problem
from shared.errors import QueueFull
from shared.logs import get_logger
from shared.queue import job_fields
from shared.queue.stages import ends_in_speech, first_task

_REUSED = "This Idempotency-Key came with another request before. Use a new key for a new request."

#: The problems that every such route may answer with.
PROBLEMS = (
    (422, "idempotency_key_reused", _REUSED),
    (503, QueueFull.code, QueueFull.message),
    (503, "queue_memory_full", "The job queue has no memory left for more jobs. Try again later."),
    (503, "too_many_uploads", "Too many requests are being received at once. Try again in a moment."),
)

IdempotencyKey = Annotated[
    str,
    Header(
        max_length=255,
        description="A word of the caller's own: a repeated request with the same word returns the first job.",
    ),
]


class Accepted(BaseModel):
    """A job has been made of the request."""

    message: str = Field(examples=["Accepted. Follow events_url or poll status_url; …"])
    job_id: str = Field(examples=["3f2b8c1e9d4a4f6f8b7a6c5d4e3f2a1b"])
    status_url: str = Field(examples=["/status/3f2b8c1e9d4a4f6f8b7a6c5d4e3f2a1b"])
    audio_url: str | None = Field(
        examples=["/audio/3f2b8c1e9d4a4f6f8b7a6c5d4e3f2a1b"], description="Null where no speech is made."
    )
    events_url: str = Field(examples=["/events/3f2b8c1e9d4a4f6f8b7a6c5d4e3f2a1b"])


@dataclass(frozen=True)
class JobRequest:
    """What a caller wants done."""

    route: str
    fields: dict[str, str]
    """The job's own, apart from the route."""

    conversation_id: str = ""
    digest: str = ""
    """Of what is in a file, if there is one."""

    log: dict[str, Any] = field(default_factory=dict)
    """What of it may be logged."""

    @property
    def fingerprint(self) -> str:
        """Tells it from any other."""
        told = self.route, sorted(self.fields.items()), self.conversation_id, self.digest
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def digest_of(idempotency_key: str) -> str:
    """As the queue knows it: of one length, and of plain characters."""
    return hashlib.sha256(idempotency_key.encode()).hexdigest() if idempotency_key else ""


async def make_room(state: Services, idempotency_key: str) -> None:
    """Refuse before the body is read: while Redis is away, each repeated upload would leave its file on the volume.

    Raises:
        QueueFull, QueueUnavailable, Problem: there is no room.
    """
    await admit(state.queue, state.settings.max_live_jobs, digest_of(idempotency_key))


async def submit(state: Services, own_id: str, order: JobRequest, idempotency_key: str) -> str:
    """The id of the job that stands for the order: `own_id`, or an earlier one's. Where Redis does not answer, an
    uploaded file stays: the job may have been accepted all the same, and housekeeping removes it otherwise."""
    max_live = state.settings.max_live_jobs
    try:
        job_id = await state.queue.submit(
            own_id,
            order.fields | {job_fields.ROUTE: order.route, job_fields.FINGERPRINT: order.fingerprint},
            [first_task(order.route, own_id)],
            max_live=max_live,
            idempotency_key=digest_of(idempotency_key),
            conversation_id=order.conversation_id,
            conversation_ttl_ms=round(state.settings.conversation_ttl_hours * 3_600_000),
        )
    except QueueFull:
        await asyncio.to_thread(state.storage.erase, own_id)
        raise full(await state.queue.stats(), max_live) from None
    if job_id != own_id:
        await asyncio.to_thread(state.storage.erase, own_id)
        # A job that has been cancelled has forgotten what it was made of.
        if (await state.queue.fields(job_id)).get(job_fields.FINGERPRINT) not in (None, order.fingerprint):
            raise Problem(422, "idempotency_key_reused", _REUSED)
    else:
        get_logger().info("job_accepted", job=job_id, route=order.route, **order.log)
    return job_id


def accepted(job_id: str, route: str, response: Response) -> Accepted:
    """The answer for a job on that route."""
    status_url = f"/status/{job_id}"
    response.headers["Location"] = status_url
    audio = "; audio_url plays while the answer is being made" if ends_in_speech(route) else ""
    return Accepted(
        message=f"Accepted. Follow events_url or poll status_url{audio}.",
        job_id=job_id,
        status_url=status_url,
        audio_url=f"/audio/{job_id}" if ends_in_speech(route) else None,
        events_url=f"/events/{job_id}",
    )
