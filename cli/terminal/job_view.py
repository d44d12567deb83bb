"""One job on a terminal: transcript and answer on standard output, progress on standard error."""

import sys
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from cli.client.job_events import JobEvent
from cli.terminal.escape import escape_text
from cli.terminal.progress import JobProgress
from shared.queue.events import RestartedEvent, StageDoneEvent, TextEvent, TranscriptEvent

TRANSCRIPT_LABEL = "Transcript:"
ANSWER_LABEL = "Answer:"
WAV_LABEL = "WAV:"
AUDIO_LABEL = "Audio:"

_LABEL_WIDTH = 12


class JobView:
    """Use as a context manager.

    On a terminal the answer is shown as it grows. Elsewhere it is written once it is complete, so that a file never
    holds an answer that was restarted. With `is_quiet` only notes are shown.
    """

    def __init__(self, *, is_quiet: bool = False, shows_transcript: bool = True, has_labels: bool = False) -> None:
        """`shows_transcript` is False for a question that the user has typed."""
        self._stdout = Console(highlight=False)
        self._stderr = Console(stderr=True, highlight=False)
        self._is_quiet = is_quiet
        self._shows_transcript = shows_transcript
        self._has_labels = has_labels or self._stdout.is_terminal
        self._progress = JobProgress()
        self._shown_activity = ""
        self._live: Live | None = None
        self._answer = ""
        self._is_answer_written = False
        self._is_line_open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._end_line()

    def note(self, message: str) -> None:
        """Print a message on standard error, even if quiet."""
        self._end_line()
        self._stderr.print(Text(escape_text(message), "dim"), soft_wrap=True)

    def show(self, event: JobEvent) -> None:
        """Show an event of the job."""
        notice = self._progress.update(event)
        if self._is_quiet:
            return
        match event.name:
            case TranscriptEvent.name if self._shows_transcript:
                self._write(TRANSCRIPT_LABEL, str(event.data.get("text", "")))
            case TextEvent.name:
                self._append_answer(str(event.data.get("text", "")))
            case RestartedEvent.name:
                self._answer = ""
                self._is_answer_written = False
            case StageDoneEvent.name if event.data.get("stage") == "llm":
                self._write_answer()
        if notice:
            self.note(notice)
        self._show_activity()

    def finish(self, job: dict[str, Any]) -> None:
        """Show the parts of a completed job that have not been shown yet."""
        if not self._is_quiet:
            self._write_answer()
        self._end_line()

    def result(self, label: str, text: str) -> None:
        """Print a labelled line on standard error."""
        if not self._is_quiet:
            self._end_line()
            self._stderr.print(Text.assemble(format_label(label), escape_text(text)), soft_wrap=True)

    def _append_answer(self, text: str) -> None:
        is_first = not self._answer
        self._answer += text
        if self._stdout.is_terminal:
            self._stop_spinner()
            if is_first:
                self._print_label(ANSWER_LABEL)
            sys.stdout.write(escape_text(text))
            sys.stdout.flush()
            self._is_line_open = True

    def _write_answer(self) -> None:
        if self._answer and not self._is_answer_written:
            self._is_answer_written = True
            if self._stdout.is_terminal:
                self._end_line()
            else:
                self._write(ANSWER_LABEL, self._answer)

    def _write(self, label: str, text: str) -> None:
        self._end_line()
        self._print_label(label)
        sys.stdout.write(f"{escape_text(text)}\n")
        sys.stdout.flush()

    def _print_label(self, label: str) -> None:
        if self._has_labels:
            self._stdout.print(format_label(label), end="")

    def _show_activity(self) -> None:
        activity = self._progress.activity
        is_shown = activity == self._shown_activity and (self._live or not self._stderr.is_terminal)
        if self._is_line_open or is_shown:
            return
        self._shown_activity = activity
        if not self._stderr.is_terminal:
            self._stderr.print(Text(escape_text(activity)), soft_wrap=True)
        elif self._live:
            self._live.update(_spinner(activity))
        else:
            # Without redirection: standard output may be a file, and the spinner must not get into it.
            self._live = Live(
                _spinner(activity), console=self._stderr, transient=True, redirect_stdout=False, redirect_stderr=False
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


def format_label(label: str) -> Text:
    """The label of a line, in bold and padded so that the texts behind the labels are aligned."""
    return Text(label.ljust(_LABEL_WIDTH), "bold")


def _spinner(activity: str) -> Spinner:
    return Spinner("dots", Text(escape_text(activity)))
