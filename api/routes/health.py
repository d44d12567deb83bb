"""Health: liveness of this process, and readiness of the whole stack."""

from collections import Counter
from collections.abc import Collection
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from api.dependencies import ServicesDep
from shared.errors import QueueUnavailable
from shared.queue.messages import WorkerInfo
from shared.queue.stages import STAGES

router = APIRouter(tags=["health"])


class Alive(BaseModel):
    """The process is alive."""

    status: Literal["ok"] = "ok"


class WarmEngine(BaseModel):
    """Warm workers with the same engine and model."""

    engine: str = Field(examples=["faster-whisper"])
    model: str = Field(examples=["base"])
    workers: int = Field(examples=[2])


class StageReadiness(BaseModel):
    """Readiness of one stage."""

    workers: int = Field(description="The number of warm workers with a current heartbeat.")
    waiting: int = Field(description="The number of tasks that wait for a worker.")
    engines: list[WarmEngine]
    warnings: list[str]


class Readiness(BaseModel):
    """Readiness of the stack to serve a job."""

    ready: bool
    queue: bool = Field(description="True if Redis answers.")
    stages: dict[str, StageReadiness]


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", summary="Is this process alive?")
async def healthz() -> Alive:
    """Always `ok` while the process answers."""
    return Alive()


@router.head("/readyz", include_in_schema=False)
@router.get(
    "/readyz",
    summary="Can a job be served?",
    responses={503: {"model": Readiness, "description": "Redis does not answer, or a stage has no workers."}},
)
async def readyz(response: Response, services: ServicesDep) -> Readiness:
    """The warm workers of each stage, with their engine and model."""
    try:
        workers = await services.queue.workers()
        depths = await services.queue.depths()
    except QueueUnavailable:
        response.status_code = 503
        return Readiness(ready=False, queue=False, stages={})
    stages = {
        stage: _stage_readiness([worker for worker in workers if worker.stage == stage], depths[stage])
        for stage in STAGES
    }
    ready = all(stage.workers for stage in stages.values())
    response.status_code = 200 if ready else 503
    return Readiness(ready=ready, queue=True, stages=stages)


def _stage_readiness(workers: Collection[WorkerInfo], waiting: int) -> StageReadiness:
    engines = Counter((worker.engine, worker.model) for worker in workers)
    return StageReadiness(
        workers=len(workers),
        waiting=waiting,
        engines=[
            WarmEngine(engine=engine, model=model, workers=count) for (engine, model), count in sorted(engines.items())
        ],
        warnings=sorted({worker.warning for worker in workers if worker.warning}),
    )
