"""Stages, routes, job statuses and task names: the words that Python, Lua and the API share."""

from typing import Final, Literal, cast, get_args

Stage = Literal["stt", "llm", "tts"]

#: The pipeline's stages, in order.
STAGES: Final[tuple[Stage, ...]] = get_args(Stage)

JobStatus = Literal["pending", "processing", "completed", "failed", "cancelled"]

STATUSES: Final[tuple[JobStatus, ...]] = get_args(JobStatus)

#: The statuses of a job that has ended.
EndedStatus = Literal["completed", "failed", "cancelled"]

ENDED: Final[frozenset[JobStatus]] = frozenset(get_args(EndedStatus))

#: A recording is transcribed and answered aloud.
SPEECH_TO_SPEECH: Final = "stt,llm,tts"

#: A written question is answered aloud.
TEXT_TO_SPEECH: Final = "llm,tts"

#: A text is synthesized as it is.
SYNTHESIS_ONLY: Final = "tts"

#: The routes that a recording may take.
RecordingRoute = Literal["stt", "stt,llm", "stt,llm,tts"]

#: The last task of a text in segments: it joins their audio.
JOIN: Final = "join"


def task_name(stage: Stage, job_id: str, part: int | Literal["join"] | None = None) -> str:
    """Return a task's name: `stt:<job>`, or for a segment `tts:<job>:0`, and for the task that joins them
    `tts:<job>:join`."""
    return f"{stage}:{job_id}" if part is None else f"{stage}:{job_id}:{part}"


def first_task(route: str, job_id: str) -> tuple[str, str]:
    """Return the name and the input of a job's first task. The input is empty: the job's own fields suffice."""
    return task_name(cast("Stage", route.partition(",")[0]), job_id), ""


def ends_in_speech(route: str) -> bool:
    """Return whether a route synthesizes speech."""
    return route.endswith("tts")


def stage_after(route: str, stage: Stage) -> Stage | None:
    """Return the stage that follows `stage` on a route such as `stt,llm,tts`, or None after the last."""
    stages = cast("list[Stage]", route.split(","))
    position = stages.index(stage) + 1
    return stages[position] if position < len(stages) else None
