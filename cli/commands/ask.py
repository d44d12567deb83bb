"""`cascade ask` and `cascade say`: a text goes in, a spoken answer comes out, or the text itself, spoken."""

import sys
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
from cli.commands.output_files import chosen
from cli.commands.requests import Words
from cli.errors import WrongUsage
from cli.settings import Key, Url

Text = Annotated[str, typer.Argument(help="The text; `-` reads it from standard input.")]


def ask(
    text: Text,
    output: Output = None,
    play: Play = False,
    as_json: Json = False,
    language: Language = None,
    voice: Voice = None,
    conversation: Conversation = None,
    system_prompt: SystemPrompt = None,
    keep: Keep = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Ask in writing; the answer is shown as it comes, and spoken.

    The spoken answer is written to JOB_response.wav in this folder, or to
    where -o says; with --play only if -o is given.
    """
    fields = given(language=language, voice=voice, system_prompt=system_prompt, conversation_id=conversation)
    _run(Words("/ask", {"text": _read(text)} | fields), output, Choices(url, key, play, as_json, keep))


def say(
    text: Text,
    output: Output = None,
    play: Play = False,
    as_json: Json = False,
    language: Language = None,
    voice: Voice = None,
    keep: Keep = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Have a text spoken.

    It is written to JOB_response.wav in this folder, or to where -o says;
    with --play only if -o is given.
    """
    fields = given(language=language, voice=voice)
    _run(Words("/speak", {"text": _read(text)} | fields), output, Choices(url, key, play, as_json, keep))


def _run(words: Words, output: str | None, choices: Choices) -> None:
    from cli.commands.run_one import run_one  # not at the top: `--help` needs neither httpx nor rich

    chosen(output, Path("response.wav"))  # told before anything is sent
    is_saved = output is not None or not choices.play
    run_one(words, choices, (lambda job_id: _file(output, job_id)) if is_saved else None)


def _file(output: str | None, job_id: str) -> Path:
    return chosen(output, Path(f"{job_id}_response.wav"))


def _read(text: str) -> str:
    read = sys.stdin.read() if text == "-" else text
    if not read.strip():
        raise WrongUsage("There is no text.")
    return read
