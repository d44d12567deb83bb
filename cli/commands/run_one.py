"""Running one job and showing it on the terminal."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cli.client.async_client import AsyncCascadeClient
from cli.client.follow_job import JobFailed, run_job
from cli.client.requests import JobRequest, RecordingRequest
from cli.commands.options import OutputOptions, ServerOptions
from cli.errors import CommandError
from cli.terminal.job_view import AUDIO_LABEL, WAV_LABEL, JobView
from cli.terminal.playback import Playback, Speaker
from cli.terminal.signals import run_interruptible


def run_one(
    request: JobRequest,
    output: OutputOptions,
    server: ServerOptions,
    save_to: Callable[[str], Path] | None,
    **json_fields: str,
) -> None:
    """Create a job and show its answer as it grows.

    `save_to` returns the answer's file for the job's id. `json_fields` are added to the output of `--json`.

    Raises:
        CommandError: the server cannot be reached or refuses, or the job failed.
    """
    try:
        speaker = Speaker() if output.play else None
        job, path = run_interruptible(_run(request, output, server, save_to, speaker))
    except CommandError as error:
        if output.as_json:
            print_json(error_status(error) | json_fields)
        raise
    if output.as_json:
        print_json(job | json_fields | {"saved_to": str(path) if path else None})


async def _run(
    request: JobRequest,
    output: OutputOptions,
    server: ServerOptions,
    save_to: Callable[[str], Path] | None,
    speaker: Speaker | None,
) -> tuple[dict[str, Any], Path | None]:
    with JobView(is_quiet=output.as_json, shows_transcript=isinstance(request, RecordingRequest)) as view:
        player = Playback(speaker, view.note) if speaker else None
        async with AsyncCascadeClient(server.url, server.key, view.note) as client:
            job, path = await run_job(client, request, view, save_to=save_to, player=player, detach=output.detach)
        if request.has_audio_answer:
            view.result(WAV_LABEL if path else AUDIO_LABEL, describe_audio(job, path))
    return job, path


def describe_audio(job: dict[str, Any], path: Path | None) -> str:
    """The answer's file and length, and the time until its first audio was ready."""
    details = [f"{job['duration_s']:.1f} s"] if job.get("duration_s") is not None else []
    first_s = job.get("timings", {}).get("first_audio_s")
    if first_s is not None:
        details.append(f"first audio after {first_s:.2f} s")
    description = ", ".join(details)
    if path is None:
        return description
    return f"{path} ({description})" if details else str(path)


def error_status(error: CommandError) -> dict[str, Any]:
    """The object that `--json` prints where there is no answer: the job's status if it is known, and the error."""
    job = error.job if isinstance(error, JobFailed) else {}
    return {"status": None} | job | {"error": job.get("error") or {"code": error.code, "message": str(error)}}


def print_json(content: dict[str, Any]) -> None:
    """Print an object on one line of standard output."""
    sys.stdout.write(f"{json.dumps(content)}\n")
    sys.stdout.flush()
