"""The demonstration: a spoken question goes in, a spoken answer comes out."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from cli.client.async_client import AsyncCascadeClient
from cli.client.follow_job import answered
from cli.commands.requests import Recording
from cli.errors import CommandError
from cli.local_stack.running_stack import find_running
from cli.local_stack.stack import Stack, running_stack
from cli.settings import chosen_settings
from cli.terminal import signals as interrupts
from cli.terminal.job_view import View

_STAGES = {"stt": "speech to text", "llm": "answer", "tts": "text to speech"}


def run_demo(data_dir: Path) -> None:
    """Send the sample question through the running stack, or through one that is started for it, and print the result.

    Raises:
        CommandError: the stack cannot start, or the job did not complete.
    """
    console = Console()
    with _a_stack(data_dir, console) as stack, as_file(files("cli") / "samples" / "question.wav") as question:
        job = interrupts.run(_ask(stack, question))
    console.print(
        f"[bold]spoken[/]    {stack.data_dir / job['audio_path']} ({job['duration_s']:.1f} s)", soft_wrap=True
    )
    console.print(
        f"The first of it could be heard {job['timings']['first_audio_s']:.2f} s after the question was there."
    )
    console.print(_waterfall(job))


@contextmanager
def _a_stack(data_dir: Path, console: Console) -> Iterator[Stack]:
    running = find_running(data_dir)
    if running:
        console.print(f"Using the stack at {running.url}")
        yield running
        return
    log = data_dir / "demo.log"
    data_dir.mkdir(parents=True, exist_ok=True)
    console.print("Starting Redis, the API and three workers …")
    with log.open("ab") as file:
        begin = file.tell()  # earlier runs stay
        try:
            with running_stack(data_dir, None, log=file.fileno()) as stack:
                yield stack
        except CommandError:
            sys.stderr.write(log.read_bytes()[begin:].decode(errors="replace"))
            raise


async def _ask(stack: Stack, question: Path) -> dict[str, Any]:
    with View(has_labels=True) as view:
        async with AsyncCascadeClient(stack.url, _key(), view.note) as server:
            job, _ = await answered(server, Recording(question), view)
    return job


def _key() -> str | None:
    """The first of the keys that the stack has been given, if it has."""
    keys = chosen_settings().get("API_KEYS") or ""
    return keys.partition(",")[0].strip() or None


def _waterfall(job: dict[str, Any]) -> Table:
    table = Table("stage", "engine", "waited", "worked", title=f"{job['timings']['total_s']:.3f} s in all")
    for stage, name in _STAGES.items():
        engine, timing = job["engines"][stage], job["timings"]["stages"][stage]
        label = f"{engine['engine']} ({engine['model']})"
        table.add_row(name, label, f"{timing['waited_s'] * 1000:.0f} ms", f"{timing['worked_s'] * 1000:.0f} ms")
    return table
