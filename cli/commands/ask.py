"""`cascade ask` and `cascade say`: answer a text, or synthesize it as it is."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.client.requests import TextRequest
from cli.commands.options import OutputOptions, QuestionOptions, ServerOptions, SpeechOptions, with_options
from cli.commands.output_files import job_output, resolve_output
from cli.errors import UsageError

Text = Annotated[str, typer.Argument(help="The text; `-` reads it from standard input.")]


@with_options
def ask(text: Text, *, output: OutputOptions, question: QuestionOptions, server: ServerOptions) -> None:
    """Ask a typed question; the answer is shown as it grows.

    The spoken answer is written to JOB_response.wav in the current folder, or
    to the file or folder of -o. With --play it is written only if -o is given.
    """
    _run("/ask", text, question, output, server)


@with_options
def say(text: Text, *, output: OutputOptions, speech: SpeechOptions, server: ServerOptions) -> None:
    """Convert a text to speech.

    The speech is written to JOB_response.wav in the current folder, or to the
    file or folder of -o. With --play it is written only if -o is given.
    """
    _run("/speak", text, speech, output, server)


def _run(path: str, text: str, options: SpeechOptions, output: OutputOptions, server: ServerOptions) -> None:
    from cli.commands.run_one import run_one  # not at the top: `--help` needs neither httpx nor rich

    request = TextRequest(path, {"text": _read_text(text)} | options.request_fields())
    resolve_output(output.output, Path("response.wav"))  # reports a wrong -o before anything is sent

    def save_to(job_id: str) -> Path:
        return resolve_output(output.output, job_output(job_id))

    is_saved = output.output is not None or not output.play
    run_one(request, output, server, save_to if is_saved else None)


def _read_text(argument: str) -> str:
    text = sys.stdin.read() if argument == "-" else argument
    if not text.strip():
        raise UsageError("The text is empty.")
    return text
