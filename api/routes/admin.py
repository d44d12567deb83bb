"""For whoever runs the system: how the queues stand, what was set aside, and trying it again."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from api.dependencies import ServicesDep
from api.intake.job_id import JobId
from api.jobs.admission import admit, full
from api.problems.render import Problem, responses
from shared.errors import JobNotFound, QueueFull
from shared.logs import get_logger
from shared.queue.admin import DeadTask, Overview, QueueAdmin

router = APIRouter(tags=["operations"])

_NOT_FOUND = (404, JobNotFound.code, JobNotFound.message)
_NOT_DEAD = (404, "not_dead_lettered", "Nothing of this job was set aside.")
_NOT_FAILED = (409, "job_not_failed", "Only a job that has failed can be tried again.")
_NOTHING_LEFT = (410, "retry_input_erased", "What this job would need has been erased. Send it again.")


class Revived(BaseModel):
    """The job is on its way again."""

    job_id: str
    status_url: str = Field(examples=["/status/3f2b8c1e9d4a4f6f8b7a6c5d4e3f2a1b"])


class Purged(BaseModel):
    """What was dropped."""

    purged: int = Field(description="How many tasks.")


@router.get("/queues", summary="How the queues stand")
async def queues(state: ServicesDep) -> Overview:
    """By stage: what waits and for how long, who works, how much gets done; and every worker."""
    return await QueueAdmin(state.queue).overview()


@router.get(
    "/metrics",
    summary="What Prometheus scrapes",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "The text format."}},
)
async def metrics(state: ServicesDep) -> Response:
    """Queues, workers, counts and times, in Prometheus's text format. All replicas tell the same."""
    operations = QueueAdmin(state.queue)
    overview, counts = await operations.overview(), await operations.counts()
    return await asyncio.to_thread(_metrics_response, overview, counts)


def _metrics_response(overview: Overview, counts: Mapping[str, int]) -> Response:
    # Not at the top: a service that Prometheus does not watch needs no client of its. In a thread, so that the first
    # import does not hold up the event loop.
    from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

    from api.responses.metrics import Metrics

    return Response(generate_latest(Metrics(overview, counts)), headers={"Content-Type": CONTENT_TYPE_LATEST})


@router.get("/dead-letters", summary="What was set aside")
async def dead(
    state: ServicesDep, limit: Annotated[int, Query(ge=1, le=1000, description="How many at most.")] = 100
) -> list[DeadTask]:
    """Tasks that failed for good, the latest first, each with its error and its input."""
    return await QueueAdmin(state.queue).dead_letters(limit=limit)


@router.get("/dead-letters/{job_id}", summary="What was set aside of a job", responses=responses(_NOT_DEAD))
async def dead_of_job(job_id: JobId, state: ServicesDep) -> list[DeadTask]:
    """Its tasks that failed for good."""
    letters = await QueueAdmin(state.queue).dead_letters(job_id)
    if not letters:
        raise Problem(*_NOT_DEAD)
    return letters


@router.delete("/dead-letters/{job_id}", summary="Drop what was set aside of a job", responses=responses(_NOT_DEAD))
async def purge(job_id: JobId, state: ServicesDep) -> Purged:
    """Drop its tasks and their input. The job stays failed, and can no longer be tried again."""
    purged = await QueueAdmin(state.queue).purge(job_id)
    if not purged:
        raise Problem(*_NOT_DEAD)
    return Purged(purged=purged)


@router.delete("/dead-letters", summary="Drop all that was set aside")
async def purge_all(
    state: ServicesDep, jobs: Annotated[Literal["all"], Query(description="`all`, so that it is not done by mistake.")]
) -> Purged:
    """Drop every task that was set aside, and its input."""
    purged = await QueueAdmin(state.queue).purge()
    get_logger().info("dead_purged", purged=purged)
    return Purged(purged=purged)


@router.post(
    "/jobs/{job_id}/retry",
    status_code=202,
    summary="Try a failed job again",
    responses=responses(
        _NOT_FOUND,
        _NOT_FAILED,
        _NOTHING_LEFT,
        (503, QueueFull.code, QueueFull.message),
        (503, "queue_memory_full", "The job queue has no memory left for more jobs. Try again later."),
    ),
)
async def retry(job_id: JobId, state: ServicesDep) -> Revived:
    """Put a failed job back on its way, from the stage that failed; what earlier stages made is kept."""
    max_live = state.settings.max_live_jobs
    await admit(state.queue, max_live, "")
    verdict = await QueueAdmin(state.queue).retry_job(job_id, max_live=max_live)
    if verdict == "full":
        raise full(await state.queue.stats(), max_live)
    if verdict == "gone":
        raise JobNotFound
    if verdict == "not_failed":
        raise Problem(*_NOT_FAILED)
    if verdict == "retry_input_erased":
        raise Problem(*_NOTHING_LEFT)
    get_logger().info("job_revived", job=job_id)
    return Revived(job_id=job_id, status_url=f"/status/{job_id}")
