"""Processing many recordings, several at a time, with a progress bar for all and one for each job that runs."""

import asyncio
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.text import Text

from cli.client.async_client import AsyncCascadeClient
from cli.client.follow_job import run_job
from cli.client.job_events import JobEvent
from cli.client.requests import RecordingRequest
from cli.commands.options import OutputOptions, ServerOptions
from cli.commands.run_one import error_status, print_json
from cli.errors import CommandError
from cli.terminal.escape import escape_text
from cli.terminal.progress import JobProgress
from cli.terminal.signals import run_interruptible


def run_batch(
    requests: Mapping[Path, RecordingRequest],
    answer_paths: Mapping[Path, Path],
    output: OutputOptions,
    server: ServerOptions,
    concurrency: int,
) -> None:
    """Process all recordings, `concurrency` of them at a time, and show each answer when it is complete.

    Raises:
        CommandError: some failed, or the server cannot be reached or refuses.
    """
    view = _BatchView(len(requests), as_json=output.as_json)
    try:
        run_interruptible(_run(requests, answer_paths, output, server, concurrency, view))
    finally:
        view.print_summary()
    if view.failures:
        raise CommandError(f"{len(view.failures)} of {len(requests)} failed.")


async def _run(
    requests: Mapping[Path, RecordingRequest],
    answer_paths: Mapping[Path, Path],
    output: OutputOptions,
    server: ServerOptions,
    concurrency: int,
    view: "_BatchView",
) -> None:
    slots = asyncio.Semaphore(concurrency)

    async def run(client: AsyncCascadeClient, request: RecordingRequest, path: Path) -> None:
        name = str(path)
        async with slots:
            with view.job_row(name, len(request.route.split(","))) as row:
                try:
                    job, saved_to = await run_job(
                        client, request, row, save_to=lambda _job_id: answer_paths[path], detach=output.detach
                    )
                except CommandError as error:
                    view.show_failure(name, error)
                else:
                    view.show_answer(name, job, saved_to)

    with view:
        async with AsyncCascadeClient(server.url, server.key, view.note) as client:
            await client.check()
            try:
                async with asyncio.TaskGroup() as group:
                    for path, request in requests.items():
                        group.create_task(run(client, request, path))
            except* BrokenPipeError as errors:  # the reader of standard output has gone
                raise errors.exceptions[0] from None


class _BatchView:
    """The view of a whole batch. Use as a context manager."""

    def __init__(self, count: int, *, as_json: bool) -> None:
        self.failures = dict[str, str]()
        """The error messages, by recording."""
        self._done_count = 0
        self._count = count
        self._as_json = as_json
        self._stderr = Console(stderr=True, highlight=False)
        # Without redirection: standard output may be a file, and the bars must not get into it.
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[activity]}", markup=False),
            console=self._stderr,
            transient=True,
            disable=not self._stderr.is_terminal,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._total_bar = self._bars.add_task("recordings", total=count, activity="")

    def __enter__(self) -> None:
        self._bars.start()

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def note(self, message: str) -> None:
        """Print a message on standard error."""
        with self._without_bars():
            self._stderr.print(Text(escape_text(message), "dim"), soft_wrap=True)

    @contextmanager
    def job_row(self, name: str, stage_count: int) -> Iterator["_JobRow"]:
        """Show a bar for one recording while the block runs."""
        bar = self._bars.add_task(escape_text(name), total=stage_count, activity="uploading")
        try:
            yield _JobRow(self, self._bars, bar, name)
        finally:
            self._bars.remove_task(bar)

    def show_answer(self, name: str, job: dict[str, Any], saved_to: Path | None) -> None:
        """Show a completed job."""
        self._done_count += 1
        self._bars.advance(self._total_bar)
        if self._as_json:
            self._print_json(job | {"file": name, "saved_to": str(saved_to) if saved_to else None})
            return
        texts = [job.get(field) for field in ("transcript", "response")]
        lines = [escape_text(name), *(f"  {line}" for text in texts if text for line in escape_text(text).splitlines())]
        with self._without_bars():
            sys.stdout.write("\n".join(lines) + "\n")
            sys.stdout.flush()
        self.note(f"{name} is done" + (f": {saved_to}" if saved_to else ""))

    def show_failure(self, name: str, error: CommandError) -> None:
        """Show a recording that has no answer."""
        self.failures[name] = str(error)
        self._bars.advance(self._total_bar)
        if self._as_json:
            self._print_json(error_status(error) | {"file": name})
        self.note(f"{name} failed: {error}")

    def print_summary(self) -> None:
        """Print how many are done, and why the others failed."""
        self.note(f"{self._done_count} of {self._count} done" + (", failed:" if self.failures else "."))
        for name, reason in self.failures.items():
            self.note(f"  {name}: {reason}")

    def _print_json(self, content: dict[str, Any]) -> None:
        with self._without_bars():
            print_json(content)

    @contextmanager
    def _without_bars(self) -> Iterator[None]:
        is_shown = self._bars.live.is_started
        if is_shown:
            self._bars.stop()
        try:
            yield
        finally:
            if is_shown:
                self._bars.start()


class _JobRow:
    """The progress bar of one recording."""

    def __init__(self, view: _BatchView, bars: Progress, bar: TaskID, name: str) -> None:
        self._view = view
        self._bars = bars
        self._bar = bar
        self._name = name
        self._progress = JobProgress()

    def note(self, message: str) -> None:
        self._view.note(f"{self._name}: {message}")

    def show(self, event: JobEvent) -> None:
        if notice := self._progress.update(event):
            self.note(notice)
        activity = escape_text(self._progress.activity)
        self._bars.update(self._bar, completed=self._progress.stages_done, activity=activity)

    def finish(self, _job: dict[str, Any]) -> None:
        self._bars.update(self._bar, activity="downloading the answer")
