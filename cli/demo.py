"""The demonstration: a spoken question goes in, a spoken answer comes out."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from cli.errors import CommandError
from cli.stack import Stack, chosen_settings, running_stack
from cli.state import find_running

_STAGES = {"stt": "speech to text", "llm": "answer", "tts": "text to speech"}


def run_demo(data_dir: Path) -> None:
    """Send the sample question through the running stack, or through one that is started for it, and print the result.

    Raises:
        CommandError: the stack cannot start, or the job did not complete.
    """
    console = Console()
    with _a_stack(data_dir, console) as stack, as_file(files("cli") / "samples" / "question.wav") as question:
        job = _ask(stack, question)
    console.print(f"[bold]heard[/]     {job['transcript']}")
    console.print(f"[bold]answered[/]  {job['response']}")
    console.print(
        f"[bold]spoken[/]    {stack.data_dir / job['audio_path']} ({job['duration_s']:.1f} s)", soft_wrap=True
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
    with log.open("wb") as file:
        try:
            with running_stack(data_dir, None, log=file.fileno()) as stack:
                yield stack
        except CommandError:
            sys.stderr.write(log.read_text(errors="replace"))
            raise


def _ask(stack: Stack, question: Path) -> dict[str, Any]:
    with httpx.Client(base_url=stack.url, timeout=70, headers=_credentials()) as client:
        with question.open("rb") as file:
            accepted = client.post("/transcribe", files={"audio_file": file})
        accepted.raise_for_status()
        job: dict[str, Any] = client.get(f"{accepted.json()['status_url']}?wait=60").json()
    if job["status"] != "completed":
        reason = job["error"]["message"] if job["error"] else "It did not end within a minute."
        raise CommandError(f"The job is {job['status']}: {reason}")
    return job


def _credentials() -> dict[str, str]:
    """The first of the keys that the stack has been given, if it has."""
    keys = chosen_settings().get("API_KEYS")
    return {"X-API-Key": keys.partition(",")[0].strip()} if keys else {}


def _waterfall(job: dict[str, Any]) -> Table:
    table = Table("stage", "engine", "waited", "worked", title=f"{job['timings']['total_s']:.3f} s in all")
    for stage, name in _STAGES.items():
        engine, timing = job["engines"][stage], job["timings"]["stages"][stage]
        label = f"{engine['engine']} ({engine['model']})"
        table.add_row(name, label, f"{timing['waited_s'] * 1000:.0f} ms", f"{timing['worked_s'] * 1000:.0f} ms")
    return table
