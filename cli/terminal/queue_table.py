"""The queues and workers, as tables and as a line of text."""

from typing import Any

from rich.table import Table

from cli.terminal.escape import escape, escape_text


def stage_table(overview: dict[str, Any]) -> Table:
    """One row for each stage, with the totals below."""
    table = Table("stage", "waiting", "oldest", "working", "workers", "done per minute", caption=_totals(overview))
    for name, stage in overview["stages"].items():
        oldest = "" if stage["oldest_s"] is None else f"{stage['oldest_s']:.1f} s"
        cells = (name, stage["waiting"], oldest, stage["working"], stage["workers"], f"{stage['done_per_min']:g}")
        table.add_row(*map(escape, cells))
    return table


def worker_table(overview: dict[str, Any]) -> Table:
    """One row for each worker."""
    table = Table("worker", "engine", "model", "working")
    for worker in overview["workers"]:
        table.add_row(*map(escape, (worker["name"], worker["engine"], worker["model"], worker["working"])))
    return table


def overview_line(overview: dict[str, Any]) -> str:
    """The stages and the totals in one line."""
    stages = [
        f"{name}: {stage['waiting']} waiting, {stage['working']} working, {stage['workers']} workers"
        for name, stage in overview["stages"].items()
    ]
    return escape_text("; ".join([*stages, _totals(overview)]))


def _totals(overview: dict[str, Any]) -> str:
    return f"jobs: {overview['live']} active; tasks: {overview['delayed']} delayed, {overview['dead']} dead-lettered"
