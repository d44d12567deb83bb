"""Submission: a request becomes a job in the queue."""

import asyncio
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from api.jobs.admission import check_admission, queue_full_error
from api.jobs.services import JobServices
from api.problems.catalogue import Problems
from api.problems.problem import Problem
from shared.errors import QueueFull
from shared.logs import get_logger
from shared.queue import job_fields
from shared.queue.stages import first_task

#: The problems of every route that submits a job.
SUBMISSION_PROBLEMS = (
    Problems.IDEMPOTENCY_KEY_REUSED,
    Problems.QUEUE_FULL,
    Problems.QUEUE_MEMORY_FULL,
)


@dataclass(frozen=True)
class JobRequest:
    """A job that a client requests."""

    route: str
    fields: dict[str, str]
    """The job's fields, apart from the route."""

    conversation_id: str = ""
    digest: str = ""
    """The digest of the recording, if there is one."""

    log: dict[str, Any] = field(default_factory=dict)
    """Values for the log line `job_accepted`."""

    @property
    def fingerprint(self) -> str:
        """A digest that distinguishes this request from any other."""
        content = self.route, sorted(self.fields.items()), self.conversation_id, self.digest
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


async def check_room(services: JobServices, idempotency_key: str) -> None:
    """Refuse a request before its body is read: while Redis is unreachable, each repeated upload would leave its
    file on the volume.

    Raises:
        QueueFull, QueueUnavailable, Problem: there is no room.
    """
    await check_admission(services.queue, services.settings.max_live_jobs, _digest(idempotency_key))


async def submit(services: JobServices, own_id: str, request: JobRequest, idempotency_key: str) -> str:
    """Submit a job under the id `own_id`, unless an earlier request with the same idempotency key has a job. Return the
    id of the job. If Redis does not answer, an uploaded file stays, since the job may have been accepted all the same;
    otherwise the cleanup removes it.

    Raises:
        QueueFull, QueueUnavailable: the job was not accepted.
        Problem: the earlier request was a different one.
    """
    max_live = services.settings.max_live_jobs
    try:
        job_id = await services.queue.submit(
            own_id,
            request.fields | {job_fields.ROUTE: request.route, job_fields.FINGERPRINT: request.fingerprint},
            [first_task(request.route, own_id)],
            max_live=max_live,
            idempotency_key=_digest(idempotency_key),
            conversation_id=request.conversation_id,
            conversation_ttl_ms=round(services.settings.conversation_ttl_hours * 3_600_000),
        )
    except QueueFull:
        await asyncio.to_thread(services.storage.erase, own_id)
        raise queue_full_error(await services.queue.stats(), max_live) from None
    if job_id == own_id:
        get_logger().info("job_accepted", job=job_id, route=request.route, **request.log)
        return job_id
    await asyncio.to_thread(services.storage.erase, own_id)
    # A cancelled job has no fingerprint any more.
    if (await services.queue.fields(job_id)).get(job_fields.FINGERPRINT) not in (None, request.fingerprint):
        raise Problem(Problems.IDEMPOTENCY_KEY_REUSED)
    return job_id


def _digest(idempotency_key: str) -> str:
    """The key as the queue stores it: hashed, so that its length and characters are fixed."""
    return hashlib.sha256(idempotency_key.encode()).hexdigest() if idempotency_key else ""
