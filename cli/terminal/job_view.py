"""One job on a terminal: what was heard and answered on standard output, how it goes on standard error."""

import sys
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from cli.client.job_events import Event
from cli.terminal.escape import plain_text
from cli.terminal.progress import Progress
from shared.queue.events import RestartedEvent, StageDoneEvent, TextEvent, TranscriptEvent

_LABEL = "{:10}"


class View:
    """Use as a context manager.

    On a terminal the answer is shown as it comes. Elsewhere it is written once it is certain, so that a file never
    holds one that was begun anew. With `is_quiet` nothing of the job is shown, only what went wrong.
    """

    def __init__(self, *, is_quiet: bool = False, is_heard: bool = True, has_labels: bool = False) -> None:
        """`is_heard` where the question was spoken: what was typed is not told back."""
        self._out, self._err = Console(highlight=False), Console(stderr=True, highlight=False)
        self._is_quiet, self._is_heard = is_quiet, is_heard
        self._has_labels = has_labels or self._out.is_terminal
        self._progress = Progress()
        self._shown = ""
        self._live: Live | None = None
        self._answer = ""
        self._is_written = False
        self._is_line_open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._end_line()

    def note(self, message: str) -> None:
        """Tell something beside the answer, even if quiet."""
        self._end_line()
        self._err.print(Text(plain_text(message), "dim"), soft_wrap=True)

    def show(self, event: Event) -> None:
        """Show what an event tells."""
        notice = self._progress.follow(event)
        if self._is_quiet:
            return
        match event.name:
            case TranscriptEvent.name if self._is_heard:
                self._write("heard", str(event.data.get("text", "")))
            case TextEvent.name:
                self._add(str(event.data.get("text", "")))
            case RestartedEvent.name:
                self._answer, self._is_written = "", False
            case StageDoneEvent.name if event.data.get("stage") == "llm":
                self._write_answer()
        if notice:
            self.note(notice)
        self._show_progress()

    def finish(self, job: dict[str, Any]) -> None:
        """Show what has not been shown yet of a job that is complete."""
        if not self._is_quiet:
            self._write_answer()
        self._end_line()

    def result(self, label: str, words: str) -> None:
        """Tell what has become of it."""
        if not self._is_quiet:
            self._end_line()
            self._err.print(Text.assemble((_LABEL.format(label), "bold"), plain_text(words)), soft_wrap=True)

    def _add(self, text: str) -> None:
        begins, self._answer = not self._answer, self._answer + text
        if self._out.is_terminal:
            self._stop_spinner()
            if begins:
                self._print_label("answered")
            sys.stdout.write(plain_text(text))
            sys.stdout.flush()
            self._is_line_open = True

    def _write_answer(self) -> None:
        if self._answer and not self._is_written:
            self._is_written = True
            if self._out.is_terminal:
                self._end_line()
            else:
                self._write("answered", self._answer)

    def _write(self, label: str, text: str) -> None:
        self._end_line()
        self._print_label(label)
        sys.stdout.write(f"{plain_text(text)}\n")
        sys.stdout.flush()

    def _print_label(self, label: str) -> None:
        if self._has_labels:
            self._out.print(Text(_LABEL.format(label), "bold"), end="")

    def _show_progress(self) -> None:
        words = self._progress.words
        if self._is_line_open or (words == self._shown and (self._live or not self._err.is_terminal)):
            return
        self._shown = words
        if not self._err.is_terminal:
            self._err.print(Text(plain_text(words)), soft_wrap=True)
        elif self._live:
            self._live.update(_spinner(words))
        else:
            # Standard output may be a file, and is never what a spinner goes to.
            self._live = Live(
                _spinner(words), console=self._err, transient=True, redirect_stdout=False, redirect_stderr=False
            )
            self._live.start()

    def _end_line(self) -> None:
        self._stop_spinner()
        if self._is_line_open:
            self._is_line_open = False
            sys.stdout.write("\n")
            sys.stdout.flush()

    def _stop_spinner(self) -> None:
        if self._live:
            self._live.stop()
            self._live = None


def _spinner(words: str) -> Spinner:
    return Spinner("dots", Text(plain_text(words)))
