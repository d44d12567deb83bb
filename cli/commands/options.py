"""Options that several commands have, grouped into dataclasses."""

import inspect
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Annotated, Any, get_type_hints

import typer

from cli.settings import Key, Url


@dataclass(frozen=True)
class ServerOptions:
    """The server that a command talks to."""

    url: Url = None
    key: Key = None


@dataclass(frozen=True)
class OutputOptions:
    """The destination of a job's answer."""

    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE|FOLDER", help="Where to write the spoken answer.")
    ] = None
    play: Annotated[bool, typer.Option("--play", help="Play the answer while it is being generated.")] = False
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the job's final status as one JSON object, and no text.")
    ] = False
    detach: Annotated[
        bool, typer.Option("--detach", help="On Ctrl-C, leave the job running instead of cancelling it.")
    ] = False


@dataclass(frozen=True)
class SpeechOptions:
    """The fields of a request for speech."""

    language: Annotated[str | None, typer.Option(help="The language of the speech, such as `en`.")] = None
    voice: Annotated[str | None, typer.Option(help="The voice. Default: the server's.")] = None

    def request_fields(self) -> dict[str, str]:
        """Return the fields of the request that the user has set."""
        return drop_none(asdict(self))


@dataclass(frozen=True)
class QuestionOptions(SpeechOptions):
    """The fields of a request for an answer."""

    conversation_id: Annotated[
        str | None,
        typer.Option(
            "--conversation",
            metavar="ID",
            help="Any name; answers take earlier turns under the same name into account.",
        ),
    ] = None
    system_prompt: Annotated[
        str | None, typer.Option(help="Instructions to the language model, such as `Answer briefly.`")
    ] = None


def drop_none(values: dict[str, str | None]) -> dict[str, str]:
    """Return `values` without those that are None."""
    return {name: value for name, value in values.items() if value is not None}


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return `command` with each parameter that is a dataclass replaced by one parameter for each of its fields.

    Typer reads a command's options from its signature and does not support groups of them. The fields need defaults.
    """
    groups: dict[str, type[Any]] = {}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        group = parameter.annotation
        if not (isinstance(group, type) and is_dataclass(group)):
            parameters.append(parameter)
            continue
        groups[name] = group
        hints = get_type_hints(group, include_extras=True)
        parameters += [
            parameter.replace(name=field.name, default=field.default, annotation=hints[field.name])
            for field in fields(group)
        ]

    def run(**values: Any) -> None:
        grouped = {
            name: group(**{field.name: values.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        command(**values, **grouped)

    run.__name__ = command.__name__
    run.__doc__ = command.__doc__
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run
