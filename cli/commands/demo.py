"""`cascade demo`: send a sample question through the stack and print the result."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.client.async_client import AsyncCascadeClient
from cli.client.follow_job import run_job
from cli.client.requests import RecordingRequest
from cli.errors import CommandError
from cli.local_stack.running_stack import Stack, find_running_stack
from cli.local_stack.stack import start_stack
from cli.settings import user_settings
from cli.terminal.job_view import WAV_LABEL, JobView, format_label
from cli.terminal.signals import run_interruptible

_STAGES = {"stt": "speech to text", "llm": "language model", "tts": "text to speech"}


def run_demo(data_dir: Path) -> None:
    """Send the sample question through the running stack, or through one that is started for it, and print the result.

    Raises:
        CommandError: the stack cannot start, or the job did not complete.
    """
    console = Console()
    with _use_stack(data_dir, console) as stack, as_file(files("cli") / "samples" / "question.wav") as recording:
        job = run_interruptible(_run(stack, recording))
    path = stack.data_dir / job["audio_path"]
    console.print(Text.assemble(format_label(WAV_LABEL), f"{path} ({job['duration_s']:.1f} s)"), soft_wrap=True)
    console.print(f"The first audio was ready {job['timings']['first_audio_s']:.2f} s after the upload.")
    console.print(_timing_table(job))


@contextmanager
def _use_stack(data_dir: Path, console: Console) -> Iterator[Stack]:
    stack = find_running_stack(data_dir)
    if stack:
        console.print(f"Using the stack at {stack.url}")
        yield stack
        return
    log = data_dir / "demo.log"
    data_dir.mkdir(parents=True, exist_ok=True)
    console.print("Starting Redis, the API and three workers …")
    with log.open("ab") as file:
        begin = file.tell()  # the log of earlier runs is kept
        try:
            with start_stack(data_dir, None, log=file.fileno()) as stack:
                yield stack
        except CommandError:
            sys.stderr.write(log.read_bytes()[begin:].decode(errors="replace"))
            raise


async def _run(stack: Stack, recording: Path) -> dict[str, Any]:
    with JobView(has_labels=True) as view:
        async with AsyncCascadeClient(stack.url, _api_key(), view.note) as client:
            job, _ = await run_job(client, RecordingRequest(recording), view)
    return job


def _api_key() -> str | None:
    """The first of the stack's API keys; None if it has none."""
    keys = user_settings().get("API_KEYS") or ""
    return keys.partition(",")[0].strip() or None


def _timing_table(job: dict[str, Any]) -> Table:
    table = Table("stage", "engine", "waited", "worked", title=f"{job['timings']['total_s']:.3f} s in all")
    for stage, name in _STAGES.items():
        engine = job["engines"][stage]
        timing = job["timings"]["stages"][stage]
        label = f"{engine['engine']} ({engine['model']})"
        table.add_row(name, label, f"{timing['waited_s'] * 1000:.0f} ms", f"{timing['worked_s'] * 1000:.0f} ms")
    return table
