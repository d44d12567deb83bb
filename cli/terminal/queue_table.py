"""Stages and workers as tables."""

from typing import Any

from rich.table import Table

from cli.terminal.escape import plain


def stages(overview: dict[str, Any]) -> Table:
    """One row for each stage, with the totals below."""
    counts = f"{overview['live']} jobs live, {overview['delayed']} tasks delayed, {overview['dead']} set aside"
    table = Table("stage", "waiting", "oldest", "working", "workers", "done a minute", caption=counts)
    for name, stage in overview["stages"].items():
        oldest = "" if stage["oldest_s"] is None else f"{stage['oldest_s']:.1f} s"
        cells = stage["waiting"], oldest, stage["working"], stage["workers"], f"{stage['done_per_min']:g}"
        table.add_row(*map(plain, (name, *cells)))
    return table


def workers(overview: dict[str, Any]) -> Table:
    """One row for each worker."""
    table = Table("worker", "engine", "model", "working")
    for worker in overview["workers"]:
        table.add_row(*map(plain, (worker["name"], worker["engine"], worker["model"], worker["working"])))
    return table
