"""A job as clients see it, read from its hash in Redis."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from shared.queue import job_fields
from shared.queue.stages import ENDED, SPEECH_TO_SPEECH, STAGES, JobStatus


class JobError(BaseModel):
    """Why a job failed."""

    code: str = Field(description="A stable identifier for programs.", examples=["no_speech"])
    message: str = Field(description="A sentence for people.")


class StageEngine(BaseModel):
    """The engine that did a stage's work."""

    engine: str = Field(examples=["faster-whisper"])
    model: str = Field(examples=["base"])


class StageTiming(BaseModel):
    """The time a job spent in one stage."""

    queued_s: float = Field(description="From the upload to the first entering of the stage's queue.")
    waited_s: float = Field(description="From entering the stage's queue to its first claim.")
    worked_s: float | None = Field(description="From the first claim to the last commit; null while it works.")
    strategy: str | None = Field(
        default=None, description="The engine's strategy, such as a short window or the full one."
    )
    fallback_reason: str | None = Field(
        default=None, description="Why a faster strategy was tried first without success."
    )


class Timings(BaseModel):
    """A job's waterfall."""

    stages: dict[str, StageTiming] = Field(default={}, description="By stage, for each that has begun.")
    first_audio_s: float | None = Field(default=None, description="From the upload to the first segment of audio.")
    total_s: float | None = Field(default=None, description="From the upload to the end of the job.")


class Job(BaseModel):
    """A request and its results so far."""

    model_config = ConfigDict(frozen=True)

    job_id: str
    status: JobStatus
    stage: str | None = Field(default=None, description="The stage that it waits for or is in: stt, llm or tts.")
    route: str = Field(default=SPEECH_TO_SPEECH, description="The stages that it passes.")
    conversation_id: str | None = Field(default=None, description="The conversation that it is a turn of.")
    transcript: str | None = Field(default=None, description="The transcript of the recording, or the question.")
    language: str | None = Field(default=None, description="ISO 639-1 code of the language of the recording or text.")
    response: str | None = Field(default=None, description="The answer's text, or the text to synthesize.")
    audio_path: str | None = Field(default=None, description="The answer's audio file, relative to the volume.")
    audio_url: str | None = Field(default=None, description="Where the answer's audio can be fetched.")
    duration_s: float | None = Field(default=None, description="Length of the answer's audio.")
    input_duration_s: float | None = Field(default=None, description="Length of the upload.")
    engines: dict[str, StageEngine] = Field(default={}, description="By stage, the engine that did its work.")
    attempts: dict[str, int] = Field(default={}, description="By stage, how many attempts were started at its tasks.")
    created_at: datetime
    updated_at: datetime
    timings: Timings = Timings()
    error: JobError | None = None

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    @classmethod
    def from_hash(cls, fields: Mapping[str, str]) -> Self:
        """Read a job hash.

        Raises:
            LookupError, ValueError, OverflowError: a field is missing or is not as the queue writes it.
        """
        return cls.model_validate(
            {name: fields[name] for name in _UNCHANGED if name in fields}
            | {
                "created_at": _time(fields[job_fields.CREATED_AT]),
                "updated_at": _time(fields[job_fields.UPDATED_AT]),
                "engines": _engines(fields),
                "attempts": {
                    stage: fields[job_fields.ATTEMPTS.of(stage)]
                    for stage in STAGES
                    if job_fields.ATTEMPTS.of(stage) in fields
                },
                "timings": _timings(fields),
                "error": _error(fields),
            }
        )


#: Fields that a client sees under the same name.
_UNCHANGED = (
    job_fields.JOB_ID,
    job_fields.STATUS,
    job_fields.STAGE,
    job_fields.ROUTE,
    job_fields.CONVERSATION_ID,
    job_fields.TRANSCRIPT,
    job_fields.LANGUAGE,
    job_fields.RESPONSE,
    job_fields.AUDIO_PATH,
    job_fields.DURATION_S,
    job_fields.INPUT_DURATION_S,
)


def _time(milliseconds: str) -> datetime:
    return datetime.fromtimestamp(int(milliseconds) / 1000, tz=UTC)


def _engines(fields: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {
        stage: {
            "engine": fields[job_fields.ENGINE.of(stage)],
            "model": fields.get(job_fields.MODEL.of(stage), ""),
        }
        for stage in STAGES
        if job_fields.ENGINE.of(stage) in fields
    }


def _error(fields: Mapping[str, str]) -> dict[str, str] | None:
    if job_fields.ERROR_CODE not in fields:
        return None
    return {"code": fields[job_fields.ERROR_CODE], "message": fields.get(job_fields.ERROR_MESSAGE, "")}


def _timings(fields: Mapping[str, str]) -> Timings:
    def between(start: str, end: str) -> float | None:
        return (int(fields[end]) - int(fields[start])) / 1000 if start in fields and end in fields else None

    stages = {}
    for stage in STAGES:
        queued_at, begun_at = job_fields.QUEUED_AT.of(stage), job_fields.BEGUN_AT.of(stage)
        queued_s = between(job_fields.CREATED_AT, queued_at)
        waited_s = between(queued_at, begun_at)
        if queued_s is not None and waited_s is not None:
            stages[stage] = StageTiming(
                queued_s=queued_s,
                waited_s=waited_s,
                worked_s=between(begun_at, job_fields.DONE_AT.of(stage)),
                strategy=fields.get(job_fields.STRATEGY.of(stage)),
                fallback_reason=fields.get(job_fields.FALLBACK_REASON.of(stage)),
            )
    return Timings(
        stages=stages,
        first_audio_s=between(job_fields.CREATED_AT, job_fields.FIRST_AUDIO_AT),
        total_s=between(job_fields.CREATED_AT, job_fields.ENDED_AT),
    )
