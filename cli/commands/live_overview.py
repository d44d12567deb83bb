"""The queues and workers, polled: redrawn on a terminal, elsewhere one line for each poll."""

import time
from contextlib import suppress
from datetime import datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from cli.client.sync_client import CascadeClient
from cli.errors import CommandError, ServerUnreachable
from cli.terminal.escape import escape, escape_text
from cli.terminal.queue_table import overview_line, stage_table, worker_table

Overview = dict[str, Any]


def show_live(url: str | None, key: str | None, interval_s: float) -> None:
    """Show the overview of the queues every `interval_s` seconds until Ctrl-C.

    Raises:
        CommandError: no server responds at the start, or the server refuses.
    """
    console = Console(highlight=False)
    with CascadeClient(url, key) as client, suppress(KeyboardInterrupt):
        overview = client.request("GET", "/queues")  # an error ends the command before anything is drawn
        if console.is_terminal:
            _draw_live(client, console, overview, interval_s)
        else:
            _print_lines(client, overview, interval_s)


def _draw_live(client: CascadeClient, console: Console, overview: Overview, interval_s: float) -> None:
    with Live(_tables(overview), console=console, auto_refresh=False) as live:
        while True:
            time.sleep(interval_s)
            result = _poll(client)
            if isinstance(result, CommandError):
                error = Text("not up to date: ", "bold") + escape(result)
                live.update(Group(_tables(overview), error), refresh=True)
            else:
                overview = result
                live.update(_tables(overview), refresh=True)


def _print_lines(client: CascadeClient, result: Overview | CommandError, interval_s: float) -> None:
    while True:
        line = escape_text(result) if isinstance(result, CommandError) else overview_line(result)
        print(f"{datetime.now():%H:%M:%S}  {line}", flush=True)
        time.sleep(interval_s)
        result = _poll(client)


def _poll(client: CascadeClient) -> Overview | CommandError:
    """Return the overview, or the error of a server that may come back.

    Raises:
        CommandError: the server does not accept the key any more.
    """
    try:
        overview: Overview = client.request("GET", "/queues")
    except ServerUnreachable as error:
        return error
    except CommandError as error:
        if error.code == "unauthorized":
            raise
        return error
    return overview


def _tables(overview: Overview) -> RenderableType:
    return Group(stage_table(overview), worker_table(overview))
