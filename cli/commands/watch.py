"""`cascade watch`: show the queues live."""

from typing import Annotated

import typer

from cli.commands.options import ServerOptions, with_options

Interval = Annotated[float, typer.Option("--every", min=0.2, help="How often to poll, in seconds.")]


@with_options
def watch(*, interval_s: Interval = 1.0, server: ServerOptions) -> None:
    """Show queues and workers, live, until Ctrl-C. Without a terminal, print one line for each poll."""
    from cli.commands.live_overview import show_live  # not at the top: `--help` needs neither httpx nor rich

    show_live(server.url, server.key, interval_s)
