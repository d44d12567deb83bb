"""`cascade watch`: how the queues stand, live."""

import time
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from cli.client.sync_client import CascadeClient, Key, Url
from cli.errors import CommandError, Unreachable
from cli.terminal.escape import plain, plain_text
from cli.terminal.queue_table import stages, workers

Every = Annotated[float, typer.Option(min=0.2, help="How often to look, in seconds.")]


def watch(every: Every = 1.0, url: Url = None, key: Key = None) -> None:
    """Show queues and workers, live, until Ctrl-C. Where standard output is no terminal, a line at a time."""
    console = Console(highlight=False)
    with CascadeClient(url, key) as client, suppress(KeyboardInterrupt):
        overview = client.ask("GET", "/queues")  # told at once where there is no server, or no way in
        if console.is_terminal:
            _draw(client, console, overview, every)
        else:
            _list(client, overview, every)


def _draw(client: CascadeClient, console: Console, overview: dict[str, Any], every_s: float) -> None:
    with Live(_picture(overview), console=console, auto_refresh=False) as live:
        while True:
            time.sleep(every_s)
            answer = _asked(client)
            if isinstance(answer, CommandError):
                live.update(Group(_picture(overview), Text("as it was: ", "bold") + plain(answer)), refresh=True)
            else:
                overview = answer
                live.update(_picture(overview), refresh=True)


def _list(client: CascadeClient, answer: dict[str, Any] | CommandError, every_s: float) -> None:
    while True:
        line = plain_text(answer) if isinstance(answer, CommandError) else _line(answer)
        print(f"{datetime.now():%H:%M:%S}  {line}", flush=True)
        time.sleep(every_s)
        answer = _asked(client)


def _asked(client: CascadeClient) -> dict[str, Any] | CommandError:
    """What the server says; one that was there may be away for a while."""
    try:
        overview: dict[str, Any] = client.ask("GET", "/queues")
    except Unreachable as error:
        return error
    except CommandError as error:
        if error.code == "unauthorized":
            raise
        return error
    return overview


def _picture(overview: dict[str, Any]) -> RenderableType:
    return Group(stages(overview), workers(overview))


def _line(overview: dict[str, Any]) -> str:
    parts = [
        f"{name}: {stage['waiting']} waiting, {stage['working']} working, {stage['workers']} workers"
        for name, stage in overview["stages"].items()
    ]
    counts = f"{overview['live']} jobs live, {overview['delayed']} tasks delayed, {overview['dead']} set aside"
    return plain_text("; ".join([*parts, counts]))
