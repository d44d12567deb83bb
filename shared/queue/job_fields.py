"""Every field of the job hash (`cascade:job:<job id>`), with its type and meaning.

Redis holds strings. Python uses the constants by name; a Lua script writes `FIELD.transcript`, or `FIELD.queued_at ..
stage` for a field that each stage has.
"""

from dataclasses import dataclass
from typing import Literal

from shared.queue.stages import STAGES, Stage

Kind = Literal["text", "time", "seconds", "count"]


@dataclass(frozen=True)
class JobField:
    """The catalogue's entry for a field."""

    name: str
    kind: Kind
    """`time` is milliseconds since the epoch by Redis's clock."""

    description: str


class StageField:
    """A field that each stage has, named `<prefix><stage>`."""

    def __init__(self, prefix: str) -> None:
        self._names: dict[Stage, str] = {stage: prefix + stage for stage in STAGES}

    def of(self, stage: Stage) -> str:
        """Return the field's name for a stage, such as `engine:stt`."""
        return self._names[stage]


#: Each field by its name, without the stage and the colon before it.
JOB_FIELDS: dict[str, JobField] = {}

#: What Lua sees: the field's name, or its prefix where each stage has one.
LUA_FIELDS: dict[str, str] = {}


def _field(name: str, kind: Kind, description: str) -> str:
    JOB_FIELDS[name] = JobField(name, kind, description)
    LUA_FIELDS[name] = name
    return name


def _stage_field(name: str, kind: Kind, description: str) -> StageField:
    JOB_FIELDS[name] = JobField(f"{name}:<stage>", kind, description)
    LUA_FIELDS[name] = f"{name}:"
    return StageField(f"{name}:")


JOB_ID = _field("job_id", "text", "The job's id: 32 hexadecimal digits.")
STATUS = _field("status", "text", "One of the job statuses in `stages.py`.")
STAGE = _field("stage", "text", "The stage that the job waits for or is in; of an ended job, the last one.")
ROUTE = _field("route", "text", "The stages that the job passes, joined by commas.")

CREATED_AT = _field("created_at", "time", "When the job was accepted.")
UPDATED_AT = _field("updated_at", "time", "When a script last changed the job.")
ENDED_AT = _field("ended_at", "time", "When the job ended.")
FIRST_AUDIO_AT = _field("first_audio_at", "time", "When the answer's first segment was committed.")

FINGERPRINT = _field("fingerprint", "text", "Digest of the request, to refuse another one with its Idempotency-Key.")
CONVERSATION_ID = _field("conversation_id", "text", "The conversation that the job is a turn of.")
TURN = _field("turn", "count", "The number of its turn in the conversation.")
SYSTEM_PROMPT = _field("system_prompt", "text", "The caller's instructions to the language model.")
LANGUAGE_HINT = _field("language_hint", "text", "The recording's language, as the caller or the conversation has it.")
VOICE = _field("voice", "text", "The voice that the caller or the conversation asks for.")

TRANSCRIPT = _field("transcript", "text", "The transcript of the recording, or the written question.")
LANGUAGE = _field("language", "text", "ISO 639-1 code of the recording's or the text's language.")
RESPONSE = _field("response", "text", "The answer so far, or the text to synthesize.")
AUDIO_PATH = _field("audio_path", "text", "The whole answer's WAV file, relative to the volume.")
DURATION_S = _field("duration_s", "seconds", "Length of the whole answer.")
INPUT_DURATION_S = _field("input_duration_s", "seconds", "Length of the recording.")
ERROR_CODE = _field("error_code", "text", "Why the job failed, for programs.")
ERROR_MESSAGE = _field("error_message", "text", "Why the job failed, for people.")

QUEUED_AT = _stage_field("queued_at", "time", "When the stage's first task was pushed to its list.")
BEGUN_AT = _stage_field("begun_at", "time", "When the stage's first attempt started.")
DONE_AT = _stage_field("done_at", "time", "When the stage's latest task was committed.")
ATTEMPTS = _stage_field("attempts", "count", "How many attempts were started at the stage's tasks.")
ENGINE = _stage_field("engine", "text", "The engine that did the stage's work.")
MODEL = _stage_field("model", "text", "Its model or voice.")
STRATEGY = _stage_field("strategy", "text", "The engine's strategy, such as `full` or a short window.")
FALLBACK_REASON = _stage_field("fallback_reason", "text", "Why a faster strategy was tried without success.")
