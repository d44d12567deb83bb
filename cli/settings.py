"""The command's environment variables: those that options fall back to, and those that a stack starts with."""

import os
from typing import Annotated

import typer

#: The engines that need no key and no download, for a caller who has not chosen others.
EMBEDDED = {"STT_ENGINE": "pocketsphinx", "TTS_ENGINE": "espeak"}

Url = Annotated[
    str | None,
    typer.Option(envvar="CASCADE_URL", help="The server; without it the stack that `cascade up` has started here."),
]
Key = Annotated[str | None, typer.Option(envvar="CASCADE_API_KEY", help="An API key, where the server wants one.")]


def chosen_settings() -> dict[str, str | None]:
    """The settings of the environment and of `.env`; where both have one, the environment's counts."""
    from dotenv import dotenv_values  # `cascade --help` reads no file

    return {**dotenv_values(".env"), **os.environ}


def stack_environment() -> dict[str, str]:
    """The environment of a stack's processes: the caller's, and the embedded engines where no others were chosen."""
    chosen = chosen_settings()
    return dict(os.environ) | {name: engine for name, engine in EMBEDDED.items() if not chosen.get(name)}
