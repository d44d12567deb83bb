"""The requests that create jobs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli.errors import UsageError

SPEECH_TO_SPEECH = "stt,llm,tts"


@dataclass(frozen=True)
class RecordingRequest:
    """A recording to transcribe, and to answer unless its route says otherwise."""

    source: Path | bytes
    """A file, or its content."""

    route: str = SPEECH_TO_SPEECH
    fields: dict[str, str] = field(default_factory=dict)
    """The other fields of the form."""

    path = "/transcribe"

    @property
    def has_audio_answer(self) -> bool:
        """True if the job's route ends with speech synthesis."""
        return self.route.endswith("tts")

    @contextmanager
    def content(self) -> Iterator[dict[str, Any]]:
        """The request's body and query, as arguments of httpx.

        Raises:
            UsageError: the file cannot be read.
        """
        query = {} if self.route == SPEECH_TO_SPEECH else {"route": self.route}
        if isinstance(self.source, bytes):
            yield {"files": {"audio_file": ("recording", self.source)}, "data": self.fields, "params": query}
            return
        with require_readable(self.source).open("rb") as file:
            # Without its name: the server detects the format by the content, and a name may reveal private details.
            yield {"files": {"audio_file": ("recording", file)}, "data": self.fields, "params": query}


@dataclass(frozen=True)
class TextRequest:
    """A text to answer (`/ask`) or only to synthesize (`/speak`)."""

    path: str
    fields: dict[str, str]

    has_audio_answer = True

    @contextmanager
    def content(self) -> Iterator[dict[str, Any]]:
        """The request's body, as arguments of httpx."""
        yield {"json": self.fields}


JobRequest = RecordingRequest | TextRequest


def require_readable(path: Path) -> Path:
    """Return the path of a file that can be read.

    Raises:
        UsageError: there is no such file, or it cannot be read.
    """
    try:
        path.open("rb").close()
    except FileNotFoundError:
        raise UsageError(f"There is no file {path}.") from None
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder: name its files.") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
    return path
