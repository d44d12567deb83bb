"""`cascade talk`: send recordings and receive spoken answers."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.client.requests import SPEECH_TO_SPEECH, RecordingRequest, require_readable
from cli.commands.options import OutputOptions, QuestionOptions, ServerOptions, with_options
from cli.commands.output_files import default_output, output_paths, resolve_output
from cli.errors import UsageError

_STDIN = "-"


class Route(StrEnum):
    """The stages that a recording passes."""

    STT = "stt"
    STT_LLM = "stt,llm"
    STT_LLM_TTS = SPEECH_TO_SPEECH


Recordings = Annotated[list[str], typer.Argument(metavar="RECORDING", help="Files; a single `-` reads standard input.")]
RouteOption = Annotated[
    Route, typer.Option(help="`stt` only transcribes, `stt,llm` answers in text, `stt,llm,tts` answers in speech.")
]
JobsOption = Annotated[int, typer.Option("--jobs", min=1, max=64, help="How many recordings to process at a time.")]


@with_options
def talk(
    recordings: Recordings,
    *,
    output: OutputOptions,
    concurrency: JobsOption = 4,
    route: RouteOption = Route.STT_LLM_TTS,
    question: QuestionOptions,
    server: ServerOptions,
) -> None:
    """Send recordings; transcripts and answers are shown as they arrive.

    The spoken answer to question.wav is written to question_response.wav in
    the same folder, or to the file or folder of -o. Transcript and answer go
    to stdout, progress to stderr. If one of several recordings fails, the
    others are still processed and the exit code is 1; --json prints one line
    for each.
    """
    _check_options(recordings, output, question, route)
    fields = question.request_fields()
    if len(recordings) == 1:
        _talk_one(recordings[0], fields, route, output, server)
    else:
        _talk_many(recordings, fields, route, output, server, concurrency)


def _check_options(recordings: list[str], output: OutputOptions, question: QuestionOptions, route: Route) -> None:
    if route is not Route.STT_LLM_TTS and (output.play or output.output is not None):
        raise UsageError(f"With --route {route} there is no audio: leave out -o and --play.")
    if len(recordings) == 1:
        return
    if output.play:
        raise UsageError("--play works with one recording only.")
    if question.conversation_id is not None:
        raise UsageError("--conversation works with one recording only: recordings are processed at the same time.")
    if _STDIN in recordings:
        raise UsageError("Standard input cannot be combined with files.")


def _talk_one(name: str, fields: dict[str, str], route: Route, output: OutputOptions, server: ServerOptions) -> None:
    from cli.commands.run_one import run_one  # not at the top: `--help` needs neither httpx nor rich

    if name == _STDIN:
        request = RecordingRequest(_read_stdin(), route, fields)
        default = Path("response.wav")
    else:
        path = require_readable(Path(name))
        request = RecordingRequest(path, route, fields)
        default = default_output(path)
    answer_path = resolve_output(output.output, default) if request.has_audio_answer else default
    run_one(request, output, server, lambda _job_id: answer_path, file=name)


def _talk_many(
    names: list[str],
    fields: dict[str, str],
    route: Route,
    output: OutputOptions,
    server: ServerOptions,
    concurrency: int,
) -> None:
    from cli.commands.run_batch import run_batch  # not at the top: `--help` needs neither httpx nor rich

    paths = [Path(name) for name in names]
    answer_paths = output_paths(paths, output.output)
    for path in dict.fromkeys(paths):
        if path not in answer_paths:
            sys.stderr.write(f"{path} is skipped: it is the answer to another recording.\n")
    requests = {path: RecordingRequest(path, route, fields) for path in answer_paths}
    run_batch(requests, answer_paths, output, server, concurrency)


def _read_stdin() -> bytes:
    if sys.stdin.isatty():
        raise UsageError("Standard input is a terminal: redirect a recording to it, or name a file.")
    return sys.stdin.buffer.read()
