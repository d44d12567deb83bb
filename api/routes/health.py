"""Health: is the process alive, and can the stack serve a job?"""

from collections import Counter
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from api.dependencies import ServicesDep
from shared.errors import QueueUnavailable
from shared.queue.stages import STAGES

router = APIRouter(tags=["health"])


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class WarmEngine(BaseModel):
    """Workers that are warm with the same engine and model."""

    engine: str = Field(examples=["faster-whisper"])
    model: str = Field(examples=["base"])
    workers: int = Field(examples=[2])


class StageReadiness(BaseModel):
    """One stage."""

    workers: int = Field(description="How many warm workers beat.")
    waiting: int = Field(description="How many tasks wait for one.")
    engines: list[WarmEngine]
    warnings: list[str]


class Readiness(BaseModel):
    """Whether a job sent now would be served."""

    ready: bool
    queue: bool = Field(description="Whether Redis answers.")
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
    responses={503: {"model": Readiness, "description": "Redis, or a stage's workers, are missing."}},
)
async def readyz(response: Response, state: ServicesDep) -> Readiness:
    """Which stage has how many warm workers, with which engine and model."""
    try:
        workers, depths = await state.queue.workers(), await state.queue.depths()
    except QueueUnavailable:
        response.status_code = 503
        return Readiness(ready=False, queue=False, stages={})
    stages = {}
    for stage in STAGES:
        here = [worker for worker in workers if worker.stage == stage]
        engines = Counter((worker.engine, worker.model) for worker in here)
        stages[stage] = StageReadiness(
            workers=len(here),
            waiting=depths[stage],
            engines=[WarmEngine(engine=e, model=m, workers=count) for (e, m), count in sorted(engines.items())],
            warnings=sorted({worker.warning for worker in here if worker.warning}),
        )
    ready = all(stage.workers for stage in stages.values())
    response.status_code = 200 if ready else 503
    return Readiness(ready=ready, queue=True, stages=stages)
