"""Many recordings, several at once, with one bar for all and one for each that is under way."""

import asyncio
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bars
from rich.text import Text

from cli.client.async_client import AsyncCascadeClient
from cli.client.follow_job import answered
from cli.client.job_events import Event
from cli.commands.options import Choices
from cli.commands.requests import Recording
from cli.commands.run_one import failure, print_json
from cli.errors import CommandError
from cli.terminal import signals as interrupts
from cli.terminal.escape import plain_text
from cli.terminal.progress import Progress


def run_many(recordings: Mapping[Path, Recording], places: Mapping[Path, Path], choices: Choices, at_once: int) -> None:
    """Send all recordings, `at_once` of them at a time, and show each answer when it is complete. `places` are the
    answers' files, by recording.

    Raises:
        CommandError: some failed, or the server cannot be reached or refuses.
    """
    board = _Board(len(recordings), as_json=choices.as_json)
    try:
        interrupts.run(_run(recordings, places, choices, at_once, board))
    finally:
        board.sum_up()
    if board.reasons:
        raise CommandError(f"{len(board.reasons)} of {len(recordings)} failed.")


async def _run(
    recordings: Mapping[Path, Recording], places: Mapping[Path, Path], choices: Choices, at_once: int, board: "_Board"
) -> None:
    turn = asyncio.Semaphore(at_once)

    async def run(server: AsyncCascadeClient, recording: Recording, path: Path) -> None:
        async with turn:
            with board.row(str(path), len(recording.route.split(","))) as row:
                try:
                    job, place = await answered(
                        server, recording, row, save_to=lambda _job_id: places[path], keep=choices.keep
                    )
                except CommandError as error:
                    board.failed(str(path), error)
                else:
                    board.answered(str(path), job, place)

    with board:
        async with AsyncCascadeClient(choices.url, choices.key, board.note) as server:
            await server.check()
            try:
                async with asyncio.TaskGroup() as group:
                    for path, recording in recordings.items():
                        group.create_task(run(server, recording, path))
            except* BrokenPipeError as errors:  # nobody reads any more
                raise errors.exceptions[0] from None


class _Board:
    """What is shown of all."""

    def __init__(self, count: int, *, as_json: bool) -> None:
        self.done, self.reasons = 0, dict[str, str]()
        self._count, self._as_json = count, as_json
        self._err = Console(stderr=True, highlight=False)
        columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn()
        words = TextColumn("{task.fields[words]}", markup=False)
        # Standard output may be a file, and is never what a bar goes to.
        self._bars = Bars(
            *columns,
            words,
            console=self._err,
            transient=True,
            disable=not self._err.is_terminal,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._all = self._bars.add_task("recordings", total=count, words="")

    def __enter__(self) -> None:
        self._bars.start()

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def note(self, message: str) -> None:
        """Tell something beside the answers."""
        with self._without_bars():
            self._err.print(Text(plain_text(message), "dim"), soft_wrap=True)

    @contextmanager
    def row(self, name: str, stages: int) -> Iterator["_Row"]:
        """The bar of one recording."""
        bar = self._bars.add_task(plain_text(name), total=stages, words="sending")
        try:
            yield _Row(self, self._bars, bar, name)
        finally:
            self._bars.remove_task(bar)

    def answered(self, name: str, job: dict[str, Any], place: Path | None) -> None:
        """One is complete."""
        self.done += 1
        self._bars.advance(self._all)
        if self._as_json:
            self._print_json(job | {"file": name, "saved_to": str(place) if place else None})
            return
        texts = [job.get(field) for field in ("transcript", "response")]
        lines = [plain_text(name), *(f"  {line}" for text in texts if text for line in plain_text(text).splitlines())]
        with self._without_bars():
            sys.stdout.write("\n".join(lines) + "\n")
            sys.stdout.flush()
        self.note(f"{name} is done" + (f": {place}" if place else ""))

    def failed(self, name: str, error: CommandError) -> None:
        """One is not to be had."""
        self.reasons[name] = str(error)
        self._bars.advance(self._all)
        if self._as_json:
            self._print_json(failure(error) | {"file": name})
        self.note(f"{name} failed: {error}")

    def sum_up(self) -> None:
        """How it ended for all."""
        self.note(f"{self.done} of {self._count} done" + (", failed:" if self.reasons else "."))
        for name, reason in self.reasons.items():
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


class _Row:
    """What is shown of one recording that is under way."""

    def __init__(self, board: _Board, bars: Bars, bar: TaskID, name: str) -> None:
        self._board, self._bars, self._bar, self._name = board, bars, bar, name
        self._progress = Progress()

    def note(self, message: str) -> None:
        self._board.note(f"{self._name}: {message}")

    def show(self, event: Event) -> None:
        if notice := self._progress.follow(event):
            self.note(notice)
        self._bars.update(self._bar, completed=self._progress.stages_done, words=plain_text(self._progress.words))

    def finish(self, _job: dict[str, Any]) -> None:
        self._bars.update(self._bar, words="fetching the answer")
