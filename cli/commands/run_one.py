"""One question, followed to its answer."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cli.client.async_client import AsyncCascadeClient
from cli.client.follow_job import JobFailed, answered
from cli.commands.options import Choices
from cli.commands.requests import Question, Recording
from cli.errors import CommandError
from cli.terminal import signals as interrupts
from cli.terminal.job_view import View
from cli.terminal.playback import Playback, Speaker


def run_one(question: Question, choices: Choices, save_to: Callable[[str], Path] | None, **told: Any) -> None:
    """Send the question and show its answer as it comes. `save_to` chooses the file by the job's id; `told` is what the
    JSON says beside the status.

    Raises:
        CommandError: the server cannot be reached or refuses, or the job failed.
    """
    try:
        speaker = Speaker() if choices.play else None
        job, path = interrupts.run(_run(question, choices, save_to, speaker))
    except CommandError as error:
        if choices.as_json:
            print_json(failure(error) | told)
        raise
    if choices.as_json:
        print_json(job | told | {"saved_to": str(path) if path else None})


async def _run(
    question: Question, choices: Choices, save_to: Callable[[str], Path] | None, speaker: Speaker | None
) -> tuple[dict[str, Any], Path | None]:
    with View(is_quiet=choices.as_json, is_heard=isinstance(question, Recording)) as view:
        playback = Playback(speaker, view.note) if speaker else None
        async with AsyncCascadeClient(choices.url, choices.key, view.note) as server:
            job, path = await answered(server, question, view, save_to=save_to, playback=playback, keep=choices.keep)
        if question.is_spoken:
            view.result("spoken", summary(job, path))
    return job, path


def summary(job: dict[str, Any], path: Path | None) -> str:
    """What there is to hear."""
    first_s = job.get("timings", {}).get("first_audio_s")
    length = f"{job['duration_s']:.1f} s" if job.get("duration_s") is not None else "sound"
    first = f", the first of it after {first_s:.2f} s" if first_s is not None else ""
    return f"{path} ({length}{first})" if path else f"{length}{first}"


def failure(error: CommandError) -> dict[str, Any]:
    """What the JSON says where there is no answer."""
    known = error.job if isinstance(error, JobFailed) else {}
    return {"status": None} | known | {"error": known.get("error") or {"code": error.code, "message": str(error)}}


def print_json(content: dict[str, Any]) -> None:
    """One object, on a line of its own."""
    sys.stdout.write(f"{json.dumps(content)}\n")
    sys.stdout.flush()
