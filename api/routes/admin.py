"""Routes for operators: the state of the queues, metrics, dead letters, and retries of failed jobs."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from api.dependencies import ServicesDep
from api.intake.job_id import JobId
from api.jobs.admission import check_admission, queue_full_error
from api.problems.body import responses
from api.problems.catalogue import Problems
from api.problems.problem import Problem
from shared.errors import JobNotFound
from shared.logs import get_logger
from shared.queue.admin import DeadTask, Overview, QueueAdmin

router = APIRouter(tags=["operations"])


class RetryAccepted(BaseModel):
    """A failed job that is being retried."""

    job_id: str
    status_url: str = Field(examples=["/status/3f2b8c1e9d4a4f6f8b7a6c5d4e3f2a1b"])


class Purged(BaseModel):
    """The outcome of dropping dead letters."""

    purged: int = Field(description="The number of dropped tasks.")


@router.get("/queues", summary="The state of the queues")
async def queues(services: ServicesDep) -> Overview:
    """By stage: waiting tasks and the age of the oldest, active workers, throughput; and every worker."""
    return await QueueAdmin(services.queue).overview()


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "The text format."}},
)
async def metrics(services: ServicesDep) -> Response:
    """Queues, workers, counters and times, in Prometheus's text format. All replicas return the same."""
    queue_admin = QueueAdmin(services.queue)
    overview = await queue_admin.overview()
    counts = await queue_admin.counts()
    return await asyncio.to_thread(_metrics_response, overview, counts)


def _metrics_response(overview: Overview, counts: Mapping[str, int]) -> Response:
    # Not at the top: without Prometheus, its client is never needed. In a thread, so that the first import does not
    # block the event loop.
    from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

    from api.responses.metrics import Metrics

    return Response(generate_latest(Metrics(overview, counts)), headers={"Content-Type": CONTENT_TYPE_LATEST})


@router.get("/dead-letters", summary="The dead letters")
async def list_dead_letters(
    services: ServicesDep,
    limit: Annotated[int, Query(ge=1, le=1000, description="The maximum number of tasks to return.")] = 100,
) -> list[DeadTask]:
    """Tasks that failed for good, the latest first, each with its error and its input."""
    return await QueueAdmin(services.queue).dead_letters(limit=limit)


@router.get(
    "/dead-letters/{job_id}", summary="The dead letters of a job", responses=responses(Problems.NOT_DEAD_LETTERED)
)
async def list_job_dead_letters(job_id: JobId, services: ServicesDep) -> list[DeadTask]:
    """The job's tasks that failed for good."""
    letters = await QueueAdmin(services.queue).dead_letters(job_id)
    if not letters:
        raise Problem(Problems.NOT_DEAD_LETTERED)
    return letters


@router.delete(
    "/dead-letters/{job_id}", summary="Drop the dead letters of a job", responses=responses(Problems.NOT_DEAD_LETTERED)
)
async def purge(job_id: JobId, services: ServicesDep) -> Purged:
    """Drop the job's dead-lettered tasks and their input. The job stays failed, and can no longer be retried."""
    purged = await QueueAdmin(services.queue).purge(job_id)
    if not purged:
        raise Problem(Problems.NOT_DEAD_LETTERED)
    return Purged(purged=purged)


@router.delete("/dead-letters", summary="Drop all dead letters")
async def purge_all(
    services: ServicesDep,
    jobs: Annotated[Literal["all"], Query(description="`all`, so that it does not happen by mistake.")],
) -> Purged:
    """Drop every dead-lettered task, and its input."""
    purged = await QueueAdmin(services.queue).purge()
    get_logger().info("dead_letters_purged", purged=purged)
    return Purged(purged=purged)


@router.post(
    "/jobs/{job_id}/retry",
    status_code=202,
    summary="Retry a failed job",
    responses=responses(
        Problems.JOB_NOT_FOUND,
        Problems.JOB_NOT_FAILED,
        Problems.RETRY_INPUT_ERASED,
        Problems.QUEUE_FULL,
        Problems.QUEUE_MEMORY_FULL,
    ),
)
async def retry(job_id: JobId, services: ServicesDep) -> RetryAccepted:
    """Retry a failed job, from the stage that failed; the results of earlier stages are kept."""
    max_live = services.settings.max_live_jobs
    await check_admission(services.queue, max_live, "")
    verdict = await QueueAdmin(services.queue).retry_job(job_id, max_live=max_live)
    match verdict:
        case "full":
            raise queue_full_error(await services.queue.stats(), max_live)
        case "gone":
            raise JobNotFound
        case "not_failed":
            raise Problem(Problems.JOB_NOT_FAILED)
        case Problems.RETRY_INPUT_ERASED.code:  # the queue's verdict has the same name
            raise Problem(Problems.RETRY_INPUT_ERASED)
    get_logger().info("job_retried", job=job_id)
    return RetryAccepted(job_id=job_id, status_url=f"/status/{job_id}")
