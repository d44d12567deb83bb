"""The environment of the command line: the defaults of options, and the variables that a stack is started with."""

import os
from typing import Annotated

import typer

#: The engines that need no key and no download, the defaults of a local stack.
EMBEDDED = {"STT_ENGINE": "pocketsphinx", "TTS_ENGINE": "espeak"}

Url = Annotated[
    str | None,
    typer.Option(envvar="CASCADE_URL", help="The server's address. Default: the stack that `cascade up` started here."),
]
Key = Annotated[str | None, typer.Option(envvar="CASCADE_API_KEY", help="An API key, where the server requires one.")]


def user_settings() -> dict[str, str | None]:
    """The settings of the environment and of `.env`; where both have one, the environment's counts."""
    from dotenv import dotenv_values  # not at the top: `--help` reads no file

    return {**dotenv_values(".env"), **os.environ}


def stack_environment() -> dict[str, str]:
    """The environment of a stack's processes: the caller's, and the embedded engines where it selects none."""
    settings = user_settings()
    return dict(os.environ) | {name: engine for name, engine in EMBEDDED.items() if not settings.get(name)}
