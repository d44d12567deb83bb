"""A job, as its status hash tells it, and the names of its tasks."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from shared.queue.stages import ENDED, SPEECH_TO_SPEECH, STAGES, JobStatus


class JobError(BaseModel):
    """Why a job failed."""

    code: str = Field(description="A stable word for programs.", examples=["no_speech"])
    message: str = Field(description="A sentence for people.")


class StageEngine(BaseModel):
    """Which engine did a stage's work."""

    engine: str = Field(examples=["faster-whisper"])
    model: str = Field(examples=["base"])


class StageTiming(BaseModel):
    """How long a job was in one stage."""

    queued_s: float = Field(description="From the upload to the first entering of the stage's queue.")
    waited_s: float = Field(description="From entering the stage's queue to its first claim.")
    worked_s: float | None = Field(description="From the first claim to the last commit; null while it works.")
    strategy: str | None = Field(
        default=None, description="Which of its ways the engine took, such as a short window or the full one."
    )
    fallback_reason: str | None = Field(default=None, description="Why a faster way was tried in vain.")


class Timings(BaseModel):
    """A job's waterfall."""

    stages: dict[str, StageTiming] = Field(default={}, description="By stage, for each that has begun.")
    first_audio_s: float | None = Field(default=None, description="From the upload to the first spoken segment.")
    total_s: float | None = Field(default=None, description="From the upload to the end of the job.")


class Job(BaseModel):
    """One request and all that is known of it."""

    model_config = ConfigDict(frozen=True)

    job_id: str
    status: JobStatus
    stage: str | None = Field(default=None, description="The stage that it waits for or is in: stt, llm or tts.")
    route: str = Field(default=SPEECH_TO_SPEECH, description="The stages that it passes.")
    conversation_id: str | None = Field(default=None, description="The conversation that it is a turn of.")
    transcript: str | None = Field(default=None, description="What was said, or asked in writing.")
    language: str | None = Field(default=None, description="ISO 639-1 code of the language that was spoken.")
    response: str | None = Field(default=None, description="What is answered, or was given to be spoken.")
    audio_path: str | None = Field(default=None, description="The spoken answer, relative to the volume.")
    audio_url: str | None = Field(default=None, description="Where the spoken answer can be fetched.")
    duration_s: float | None = Field(default=None, description="Length of the spoken answer.")
    input_duration_s: float | None = Field(default=None, description="Length of the upload.")
    engines: dict[str, StageEngine] = Field(default={}, description="By stage, the engine that did its work.")
    attempts: dict[str, int] = Field(default={}, description="By stage, how many times its tasks were begun.")
    created_at: datetime
    updated_at: datetime
    timings: Timings = Timings()
    error: JobError | None = None

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    @classmethod
    def from_hash(cls, fields: Mapping[str, str]) -> Self:
        """Read a job-status hash. `fields` holds strings; times are milliseconds since the epoch."""
        plain = {name: fields[name] for name in _PLAIN_FIELDS if name in fields}
        return cls.model_validate(
            plain
            | {
                "created_at": _time(fields["created_at"]),
                "updated_at": _time(fields["updated_at"]),
                "engines": {
                    stage: {"engine": fields[f"engine:{stage}"], "model": fields.get(f"model:{stage}", "")}
                    for stage in STAGES
                    if f"engine:{stage}" in fields
                },
                "attempts": {stage: fields[f"attempts:{stage}"] for stage in STAGES if f"attempts:{stage}" in fields},
                "timings": _timings(fields),
                "error": {"code": fields["error_code"], "message": fields.get("error_message", "")}
                if "error_code" in fields
                else None,
            }
        )


_PLAIN_FIELDS = (
    "job_id",
    "status",
    "stage",
    "route",
    "conversation_id",
    "transcript",
    "language",
    "response",
    "audio_path",
    "duration_s",
    "input_duration_s",
)


def _time(milliseconds: str) -> datetime:
    return datetime.fromtimestamp(int(milliseconds) / 1000, tz=UTC)


def _timings(fields: Mapping[str, str]) -> Timings:
    def between(start: str, end: str) -> float | None:
        return (int(fields[end]) - int(fields[start])) / 1000 if start in fields and end in fields else None

    stages = {}
    for stage in STAGES:
        queued_s = between("created_at", f"queued_at:{stage}")
        waited_s = between(f"queued_at:{stage}", f"begun_at:{stage}")
        if queued_s is not None and waited_s is not None:
            worked_s = between(f"begun_at:{stage}", f"done_at:{stage}")
            stages[stage] = StageTiming(
                queued_s=queued_s,
                waited_s=waited_s,
                worked_s=worked_s,
                strategy=fields.get(f"strategy:{stage}"),
                fallback_reason=fields.get(f"fallback_reason:{stage}"),
            )
    return Timings(
        stages=stages,
        first_audio_s=between("created_at", "first_audio_at"),
        total_s=between("created_at", "ended_at"),
    )
