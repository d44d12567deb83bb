"""Options that several commands have."""

from dataclasses import dataclass
from typing import Annotated

import typer

Output = Annotated[
    str | None, typer.Option("--output", "-o", metavar="FILE|FOLDER", help="Where to write the spoken answer.")
]
Play = Annotated[bool, typer.Option("--play", help="Play the answer while it is being made.")]
Json = Annotated[bool, typer.Option("--json", help="Print the job's final status as one JSON object, and no text.")]
Keep = Annotated[
    bool, typer.Option("--detach", help="Let the job run on when you interrupt, instead of cancelling it.")
]
Language = Annotated[str | None, typer.Option(help="The language that is spoken, such as `en`.")]
Voice = Annotated[str | None, typer.Option(help="Another voice than the server's own.")]
Conversation = Annotated[
    str | None, typer.Option(metavar="ID", help="A word of your own: the answer knows what was said under it before.")
]
SystemPrompt = Annotated[str | None, typer.Option(help="How the model is to answer.")]


@dataclass(frozen=True)
class Choices:
    """How an answer is wanted."""

    url: str | None
    key: str | None
    play: bool = False
    as_json: bool = False
    keep: bool = False


def given(**fields: str | None) -> dict[str, str]:
    """The fields of a question that were chosen."""
    return {name: value for name, value in fields.items() if value is not None}
