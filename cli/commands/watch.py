"""`cascade watch`: how the queues stand, live."""

from typing import Annotated

import typer

from cli.settings import Key, Url

Every = Annotated[float, typer.Option(min=0.2, help="How often to look, in seconds.")]


def watch(every: Every = 1.0, url: Url = None, key: Key = None) -> None:
    """Show queues and workers, live, until Ctrl-C. Where standard output is no terminal, a line at a time."""
    from cli.commands.live_overview import show_live  # not at the top: `--help` needs neither httpx nor rich

    show_live(url, key, every)
