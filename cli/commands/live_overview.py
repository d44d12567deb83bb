"""Queues and workers, looked at again and again: drawn on a terminal, elsewhere a line at a time."""

import time
from contextlib import suppress
from datetime import datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from cli.client.sync_client import CascadeClient
from cli.errors import CommandError, Unreachable
from cli.terminal.escape import plain, plain_text
from cli.terminal.queue_table import stages, workers


def show_live(url: str | None, key: str | None, every_s: float) -> None:
    """Show the overview of the queues every `every_s` seconds until Ctrl-C.

    Raises:
        CommandError: no server answers at the start, or the server refuses.
    """
    console = Console(highlight=False)
    with CascadeClient(url, key) as client, suppress(KeyboardInterrupt):
        overview = client.ask("GET", "/queues")  # told at once where there is no server, or no way in
        if console.is_terminal:
            _draw(client, console, overview, every_s)
        else:
            _list(client, overview, every_s)


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
