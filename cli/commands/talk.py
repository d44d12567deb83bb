"""`cascade talk`: recordings go in, spoken answers come out."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.commands.options import (
    Choices,
    Conversation,
    Json,
    Keep,
    Language,
    Output,
    Play,
    SystemPrompt,
    Voice,
    given,
)
from cli.commands.output_files import beside, chosen, of_each
from cli.commands.requests import Recording, readable
from cli.errors import WrongUsage
from cli.settings import Key, Url


class Route(StrEnum):
    """The stages that a recording passes."""

    STT = "stt"
    STT_LLM = "stt,llm"
    STT_LLM_TTS = "stt,llm,tts"


Recordings = Annotated[list[str], typer.Argument(metavar="RECORDING", help="Files; a single `-` reads standard input.")]
Jobs = Annotated[int, typer.Option(min=1, max=64, help="How many of several recordings to send at once.")]
RouteChoice = Annotated[
    Route, typer.Option(help="`stt` only writes down what is said, `stt,llm` answers in writing, else it is spoken.")
]


def talk(
    recordings: Recordings,
    output: Output = None,
    play: Play = False,
    as_json: Json = False,
    jobs: Jobs = 4,
    language: Language = None,
    voice: Voice = None,
    conversation: Conversation = None,
    system_prompt: SystemPrompt = None,
    route: RouteChoice = Route.STT_LLM_TTS,
    keep: Keep = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Send recordings; transcripts and answers are shown as they arrive.

    The spoken answer to question.wav is written to question_response.wav
    beside it, or to where -o says. Texts go to standard output, how it goes
    to standard error. Of several recordings, one that fails stops no other;
    the exit code is then 1, and --json prints one line for each.
    """
    from cli.commands.run_batch import run_many  # not at the top: `--help` needs neither httpx nor rich

    fields = given(language=language, voice=voice, system_prompt=system_prompt, conversation_id=conversation)
    choices = Choices(url, key, play, as_json, keep)
    if route is not Route.STT_LLM_TTS and (play or output is not None):
        raise WrongUsage(f"There is nothing to hear with --route {route}: leave out -o and --play.")
    if recordings == ["-"]:
        _run_one(Recording(_standard_input(), route, fields), output, Path("response.wav"), choices, "-")
    elif len(recordings) == 1:
        path = readable(Path(recordings[0]))
        _run_one(Recording(path, route, fields), output, beside(path), choices, recordings[0])
    elif play:
        raise WrongUsage("--play is for one recording.")
    elif conversation is not None:
        raise WrongUsage("--conversation is for one recording: of several at once, none would know of the others.")
    elif "-" in recordings:
        raise WrongUsage("Standard input can only be read alone.")
    else:
        places = of_each([Path(each) for each in recordings], output)
        for each in {Path(each) for each in recordings} - set(places):
            sys.stderr.write(f"{each} is left out: it is the answer to another of them.\n")
        run_many({path: Recording(path, route, fields) for path in places}, places, choices, jobs)


def _run_one(recording: Recording, output: str | None, default: Path, choices: Choices, name: str) -> None:
    from cli.commands.run_one import run_one  # not at the top: `--help` needs neither httpx nor rich

    place = chosen(output, default) if recording.is_spoken else default
    run_one(recording, choices, lambda _job_id: place, file=name)


def _standard_input() -> bytes:
    if sys.stdin.isatty():
        raise WrongUsage("Standard input is this terminal: send a recording into it, or name a file.")
    return sys.stdin.buffer.read()
