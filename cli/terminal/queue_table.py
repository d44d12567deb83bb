"""How the queues stand, as a table."""

from typing import Any

from rich.console import Console
from rich.table import Table

from cli.client.sync_client import CascadeClient, Key, Url
from cli.terminal.escape import plain


def show(url: Url = None, key: Key = None) -> None:
    """Show what waits in each stage and for how long, who works, and how much gets done."""
    overview = CascadeClient(url, key).ask("GET", "/queues")
    console = Console()
    console.print(stages(overview))
    console.print(workers(overview))


def stages(overview: dict[str, Any]) -> Table:
    counts = f"{overview['live']} jobs live, {overview['delayed']} tasks delayed, {overview['dead']} set aside"
    table = Table("stage", "waiting", "oldest", "working", "workers", "done a minute", caption=counts)
    for name, stage in overview["stages"].items():
        oldest = "" if stage["oldest_s"] is None else f"{stage['oldest_s']:.1f} s"
        cells = stage["waiting"], oldest, stage["working"], stage["workers"], f"{stage['done_per_min']:g}"
        table.add_row(*map(plain, (name, *cells)))
    return table


def workers(overview: dict[str, Any]) -> Table:
    table = Table("worker", "engine", "model", "working")
    for worker in overview["workers"]:
        table.add_row(*map(plain, (worker["name"], worker["engine"], worker["model"], worker["working"])))
    return table
