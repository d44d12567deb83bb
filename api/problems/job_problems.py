"""Problems of jobs, their answers, dead letters and conversations."""

from enum import StrEnum

from api.problems.problem import RETRY_AFTER, ProblemType
from shared.errors import JobNotFound, QueueFull, QueueUnavailable, QueueUnreadable, StorageFull

_JOB_ID = "3f2b8c1e9d4a4f6f8b7a6c5d4e3f2a1b"


class NoAudioReason(StrEnum):
    """The reason why a job has no audio, as the sentence of `NO_AUDIO` gives it."""

    TEXT_ONLY = "only text was requested of this job. See /status/{job_id} for it"
    NO_ANSWER = "this job ended without an answer. See /status/{job_id} for the reason"
    REMOVED = "the answer's file has been removed from the volume"


class JobProblems:
    """Problems of requests for a job, its answer or a conversation."""

    # Jobs

    JOB_NOT_FOUND = ProblemType.of_error(404, JobNotFound, "No job has this id, or the job has been erased.")
    JOB_CORRUPTED = ProblemType.of_error(
        500, QueueUnreadable, "The job's record in Redis was changed by something other than this service."
    )
    QUEUE_UNAVAILABLE = ProblemType.of_error(
        503, QueueUnavailable, "Redis does not answer.", example={"retry_after_s": 5}, headers=RETRY_AFTER
    )
    QUEUE_FULL = ProblemType.of_error(
        503, QueueFull, "MAX_LIVE_JOBS jobs have not ended yet.", example={"retry_after_s": 30}, headers=RETRY_AFTER
    )
    QUEUE_MEMORY_FULL = ProblemType(
        503,
        "queue_memory_full",
        "The job queue has no memory left for more jobs. Try again later.",
        "Redis is near its memory limit.",
        example={"retry_after_s": 30},
        headers=RETRY_AFTER,
    )
    STORAGE_FULL = ProblemType.of_error(507, StorageFull, "The volume has no room for the upload.")
    IDEMPOTENCY_KEY_REUSED = ProblemType(
        422,
        "idempotency_key_reused",
        "This Idempotency-Key was used for another request before. Use a new key for a new request.",
        "Two requests that differ carry the same Idempotency-Key.",
    )
    JOB_NOT_FAILED = ProblemType(
        409,
        "job_not_failed",
        "Only a failed job can be retried.",
        "A retry is requested of a job that has not failed.",
    )
    RETRY_INPUT_ERASED = ProblemType(
        410,
        "retry_input_erased",
        "The input that a retry of this job needs has been erased. Send it again.",
        "A retry is requested of a job whose dead-lettered tasks were dropped.",
    )
    NOT_DEAD_LETTERED = ProblemType(
        404,
        "not_dead_lettered",
        "No task of this job is dead-lettered.",
        "Dead letters are requested of a job that has none.",
    )
    CONVERSATION_NOT_FOUND = ProblemType(
        404,
        "conversation_not_found",
        "There is no conversation with this id. It may have been deleted, or may have expired.",
        "No conversation has this id, or it was deleted or has expired.",
    )

    # Answers

    NO_AUDIO = ProblemType(
        410,
        "no_audio",
        "There is no audio: {reason}.",
        "Only text was requested, the job ended without an answer, or the answer's file has been removed.",
        example={"reason": NoAudioReason.NO_ANSWER.format(job_id=_JOB_ID)},
    )
    ANSWER_RESTARTED = ProblemType(
        412,
        "answer_restarted",
        "The answer has been restarted. Fetch it again without an offset, and discard the part that you have.",
        "An offset is requested of an answer that has been generated again since, because its LLM worker had died.",
    )
    NO_SUCH_SEGMENT = ProblemType(
        404,
        "no_such_segment",
        "This segment does not exist yet, has been removed, or never existed. See /audio/{job_id} for the answer.",
        "The segment has not been synthesized yet, has been removed, or never will exist.",
        example={"job_id": _JOB_ID},
    )
    NO_SUCH_RANGE = ProblemType(
        416,
        "no_such_range",
        "The file has no such range. It is {size:,} bytes long.",
        "The Range header or the offset begins behind the end of the file.",
        example={"size": 96_044},
        headers={"Content-Range": "bytes */{size}"},
    )
    OFFSET_NEEDS_WAV = ProblemType(
        416,
        "offset_needs_wav",
        "An offset needs format=wav. Use that, or fetch the answer from its beginning.",
        "An offset is requested of ogg or mp3.",
    )
    TOO_MANY_ENCODINGS = ProblemType(
        503,
        "too_many_encodings",
        "Too many answers are being sent in ogg or mp3. Try again in a moment, or request wav.",
        "64 answers are being encoded by this process.",
        headers={"Retry-After": "2"},
    )
    TOO_MANY_LISTENERS = ProblemType(
        503,
        "too_many_listeners",
        "Too many clients follow jobs at once. Try again in a moment, or poll /status/{job_id}.",
        "2,000 clients follow jobs in this process, or fewer where it may not open that many files.",
        example={"job_id": _JOB_ID},
        headers={"Retry-After": "5"},
    )
