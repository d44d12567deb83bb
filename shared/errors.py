"""Every error that crosses a boundary between parts of the system.

CascadeError
├── StartupError            the process cannot start; names the setting to change
├── InputError              the client's input cannot be processed; a retry cannot help
│   ├── InputMissing        the upload is no longer on the volume
│   ├── NoSpeech            the recording holds no speech
│   ├── EmptyAudio          the recording holds no sample
│   ├── AudioTooLong        the recording is longer than STT_MAX_AUDIO_S
│   ├── UndecodableAudio    the bytes are not audio that can be decoded
│   ├── UnsupportedLanguage the recognizer does not support the language
│   └── UnknownVoice        the engine has no voice of that name
├── EngineError             an engine failed; a retry may help
│   ├── EngineCrashed       the engine's process died during a call
│   └── EngineTimeout       the call took too long; the process was killed
├── WorkerDied              three workers died while they ran the task
├── LanguageModelError      the language model gave no usable answer
│   ├── ModelUnavailable    it is down, overloaded or cut the answer off; a retry may help
│   ├── ModelRefused        it rejects the request or the key; a retry cannot help
│   └── AnswerBlocked       it declined to answer, or its answer is empty
├── StorageFull             the volume has no room; a retry may help
├── QueueFull               as many jobs are live as the limit allows
├── QueueUnavailable        Redis does not answer
├── QueueUnreadable         Redis holds data that the queue cannot have written
└── JobNotFound             no such job, or it has been erased
"""

from typing import ClassVar


class CascadeError(Exception):
    """Base of all errors. `code` and `message` are public: the code is stable; no message contains a path or a
    library's text."""

    code: ClassVar[str] = "internal_error"
    message: ClassVar[str] = "Something went wrong inside the service."
    #: Whether another attempt may succeed.
    retryable: ClassVar[bool] = False
    #: The longest delay before another attempt.
    max_backoff_s: ClassVar[float] = 60.0
    #: Multiplies MAX_ATTEMPTS for this error.
    attempts_factor: ClassVar[int] = 1
    #: Whether a failed attempt counts towards the limit of other errors; False if the job cannot be its cause.
    counts_as_attempt: ClassVar[bool] = True

    def __init__(self, message: str | None = None, *, retry_after_s: float | None = None) -> None:
        super().__init__(message or self.message)
        self.retry_after_s = retry_after_s

    @property
    def public_message(self) -> str:
        return str(self.args[0])

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross from an engine's process to its worker's; keyword-only state must survive the pickle.
        return (_rebuild, (type(self), self.args[0], self.retry_after_s))


def _rebuild(kind: type[CascadeError], message: str, retry_after_s: float | None) -> CascadeError:
    return kind(message, retry_after_s=retry_after_s)


class StartupError(CascadeError):
    """Raised while a process starts, for a missing model, key, voice or engine. The message names the setting."""

    code = "cannot_start"


class InputError(CascadeError):
    """Raised when the client's input cannot be processed."""

    code = "bad_input"
    message = "The input cannot be processed."


class InputMissing(InputError):
    """Raised by the STT stage when the upload is not in the storage: it was removed, or the volume is not shared."""

    code = "input_missing"
    message = "The uploaded recording no longer exists."


class NoSpeech(InputError):
    """Raised by the STT stage when the voice detector finds no speech or the recognizer no words."""

    code = "no_speech"
    message = "No speech was found in the recording. Record again, closer to the microphone."


class EmptyAudio(InputError):
    """Raised by the STT stage for a file that decodes to zero samples."""

    code = "empty_audio"
    message = "The recording contains no sound. Send at least a fraction of a second of audio."


class AudioTooLong(InputError):
    """Raised by the STT stage before it has decoded more than the limit."""

    code = "audio_too_long"
    message = "The recording is longer than this service accepts."


class UndecodableAudio(InputError):
    """Raised by the STT stage when no decoder can read the bytes."""

    code = "undecodable_audio"
    message = "The file could not be decoded. Send wav, mp3, m4a, ogg, opus, webm or flac audio."


class UnsupportedLanguage(InputError):
    """Raised by the STT stage when the recognizer or its model does not support the requested language."""

    code = "unsupported_language"
    message = "This service's speech recognizer does not support that language."


class UnknownVoice(InputError):
    """Raised by the TTS stage when the engine does not have the requested voice."""

    code = "unknown_voice"
    message = "This service has no voice of that name."


class EngineError(CascadeError):
    """Raised when an engine fails on valid input."""

    code = "engine_failed"
    message = "The engine of this stage failed."
    retryable = True
    max_backoff_s = 10.0  # a local failure: a longer delay would not help


class EngineCrashed(EngineError):
    """Raised when an engine's process has died during a call."""

    code = "engine_crashed"
    message = "The engine of this stage crashed."


class EngineTimeout(EngineError):
    """Raised when an engine did not finish in time; its process has been killed."""

    code = "engine_timeout"
    message = "The engine of this stage took too long."


class WorkerDied(CascadeError):
    """Recorded by the queue when three workers have died on a task: it starts no fourth attempt."""

    code = "worker_died"
    message = "Processing stopped unexpectedly each time this input was tried."


class LanguageModelError(CascadeError):
    """Base of the language model's errors."""

    code = "model_failed"
    message = "The language model gave no usable answer."


class ModelUnavailable(LanguageModelError):
    """Raised on 408, 429, 5xx, refused connections, timeouts and streams that break off."""

    code = "model_unavailable"
    message = "The language model is unavailable at the moment."
    retryable = True


class ModelRefused(LanguageModelError):
    """Raised when the model's server rejects the request: a bad key, an unknown model, a malformed call."""

    code = "model_refused"
    message = "The language model's server rejected the request. Check the key and the model's name."


class AnswerBlocked(LanguageModelError):
    """Raised when the model declines to answer or its answer is empty."""

    code = "answer_blocked"
    message = "The language model declined to answer."


class StorageFull(CascadeError):
    """Raised when the volume has no room for a file. No partial file is left."""

    code = "storage_full"
    message = "The service has no disk space left."
    retryable = True
    attempts_factor = 4  # gives an operator some minutes to free space
    counts_as_attempt = False  # it affects all jobs


class QueueFull(CascadeError):
    """Raised when as many jobs are live as MAX_LIVE_JOBS allows."""

    code = "queue_full"
    message = "Too many jobs are waiting. Try again later."
    retryable = True


class QueueUnavailable(CascadeError):
    """Raised when Redis does not answer."""

    code = "queue_unavailable"
    message = "The job queue cannot be reached at the moment. Try again later."
    retryable = True


class QueueUnreadable(CascadeError):
    """Raised when Redis holds data that the queue cannot have written: another program has written there."""

    code = "job_corrupted"
    message = "The stored data of this job cannot be read."


class JobNotFound(CascadeError):
    """Raised for an unknown job id, or one whose job has been erased."""

    code = "job_not_found"
    message = "There is no job with this id. It may have been erased after its retention time."
