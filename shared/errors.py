"""Every error that one part of the system tells another, drawn once.

CascadeError
├── StartupError            the process cannot start; names the setting to change
├── InputError              the caller's input cannot be served; a retry cannot help
│   ├── InputMissing        the upload is no longer on the volume
│   ├── NoSpeech            nobody speaks in the recording
│   ├── EmptyAudio          the recording holds no sound at all
│   ├── AudioTooLong        the recording is longer than STT_MAX_AUDIO_S
│   ├── UndecodableAudio    the bytes are not audio that can be decoded
│   ├── UnsupportedLanguage the recognizer does not know the language
│   └── UnknownVoice        the engine has no voice of that name
├── EngineError             an engine failed; a retry may help
│   ├── EngineCrashed       the process that computes died in the middle
│   └── EngineTimeout       it did not answer in time and was ended
├── LanguageModelError      the language model did not give a usable answer
│   ├── ModelUnavailable    it is down, overloaded or cut the answer off; a retry may help
│   ├── ModelRefused        it rejects our request or key; a retry cannot help
│   └── AnswerBlocked       it declined to answer, or answered nothing
├── StorageFull             the volume has no room; a retry may help
├── QueueFull               too many jobs are waiting
├── QueueUnavailable        Redis does not answer
├── QueueUnreadable         what Redis holds is not what the queue wrote
└── JobNotFound             no such job, or it has been erased
"""

from typing import ClassVar


class CascadeError(Exception):
    """Base of all. `code` is stable and public, and so is `message`: it never holds a path or a library's text."""

    code: ClassVar[str] = "internal_error"
    message: ClassVar[str] = "Something went wrong inside the service."
    #: Whether the same work, done again later, may succeed.
    retryable: ClassVar[bool] = False
    #: The longest pause before it is done again.
    max_backoff_s: ClassVar[float] = 60.0
    #: How many times MAX_ATTEMPTS it is tried.
    patience: ClassVar[int] = 1
    #: Whether it has nothing to do with the job, so that its tries do not count when something else goes wrong.
    is_blameless: ClassVar[bool] = False

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
    """Raised while a process starts, for a missing model, key, voice or engine. The message names the variable."""

    code = "cannot_start"


class InputError(CascadeError):
    """Raised when the caller's input cannot be served as it is."""

    code = "bad_input"
    message = "The input cannot be processed."


class InputMissing(InputError):
    """Raised by the STT stage when the upload is not on the volume: it was removed, or the volume is not shared."""

    code = "input_missing"
    message = "The uploaded recording is no longer there."


class NoSpeech(InputError):
    """Raised by the STT stage when voice activity detection or the recognizer finds no words."""

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
    """Raised by the STT stage when no decoder can make sense of the bytes."""

    code = "undecodable_audio"
    message = "The file could not be decoded. Send wav, mp3, m4a, ogg, opus, webm or flac audio."


class UnsupportedLanguage(InputError):
    """Raised by the STT stage when the recognizer or its model does not know the language that was asked for."""

    code = "unsupported_language"
    message = "This service's speech recognizer does not know that language."


class UnknownVoice(InputError):
    """Raised by the TTS stage when the caller asks for a voice that the engine does not have."""

    code = "unknown_voice"
    message = "This service has no voice of that name."


class EngineError(CascadeError):
    """Raised when an engine fails on valid input."""

    code = "engine_failed"
    message = "The engine of this stage failed."
    retryable = True
    max_backoff_s = 10.0  # it is our own machine: waiting longer helps nobody


class EngineCrashed(EngineError):
    """Raised when the process in which an engine computes has died."""

    code = "engine_crashed"
    message = "The engine of this stage crashed."


class EngineTimeout(EngineError):
    """Raised when an engine did not finish in time; its process has been ended."""

    code = "engine_timeout"
    message = "The engine of this stage took too long."


class LanguageModelError(CascadeError):
    """Base of what a language model can do wrong."""

    code = "model_failed"
    message = "The language model gave no usable answer."


class ModelUnavailable(LanguageModelError):
    """Raised on 408, 429, 5xx, refused connections, timeouts and streams that end half-way."""

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
    """Raised when the volume has no room for a file. Nothing half-written stays behind."""

    code = "storage_full"
    message = "The service has no disk space left."
    retryable = True
    patience = 4  # some minutes, for somebody to make room
    is_blameless = True  # all jobs are met by it


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
    """Raised when Redis holds something else than what the queue wrote: somebody else has written there."""

    code = "job_corrupted"
    message = "What is stored of this job cannot be read."


class JobNotFound(CascadeError):
    """Raised for a job id that never was, or whose job has been erased."""

    code = "job_not_found"
    message = "There is no job with this id. It may have been erased after its retention time."
