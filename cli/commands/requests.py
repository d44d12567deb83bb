"""What is sent to the server, to be made a job of."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli.errors import WrongUsage

SPEECH_TO_SPEECH = "stt,llm,tts"


@dataclass(frozen=True)
class Recording:
    """A recording, in a file or at hand."""

    source: Path | bytes
    route: str = SPEECH_TO_SPEECH
    fields: dict[str, str] = field(default_factory=dict)
    """What the form says beside the recording."""

    path = "/transcribe"

    @property
    def is_spoken(self) -> bool:
        """Whether an answer will be heard."""
        return self.route.endswith("tts")

    @contextmanager
    def content(self) -> Iterator[dict[str, Any]]:
        """What httpx is to send.

        Raises:
            WrongUsage: the file cannot be read.
        """
        query = {} if self.route == SPEECH_TO_SPEECH else {"route": self.route}
        if isinstance(self.source, bytes):
            yield {"files": {"audio_file": ("recording", self.source)}, "data": self.fields, "params": query}
            return
        with readable(self.source).open("rb") as file:
            # Without its name: the server goes by what the file holds, and a name may tell more than is meant.
            yield {"files": {"audio_file": ("recording", file)}, "data": self.fields, "params": query}


@dataclass(frozen=True)
class Words:
    """A text, to be answered (`/ask`) or just spoken (`/speak`)."""

    path: str
    fields: dict[str, str]

    is_spoken = True

    @contextmanager
    def content(self) -> Iterator[dict[str, Any]]:
        """What httpx is to send."""
        yield {"json": self.fields}


Question = Recording | Words


def readable(path: Path) -> Path:
    """The path, of a file that is there.

    Raises:
        WrongUsage: it is not, or cannot be read.
    """
    try:
        path.open("rb").close()
    except FileNotFoundError:
        raise WrongUsage(f"There is no file {path}.") from None
    except IsADirectoryError:
        raise WrongUsage(f"{path} is a folder: name its files.") from None
    except OSError as error:
        raise WrongUsage(f"{path} cannot be read: {error.strerror}.") from None
    return path
