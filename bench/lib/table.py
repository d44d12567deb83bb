"""Printing of result tables, and their record for docs/performance.md."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from bench.lib.results import record_table


def print_table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    record_table(title, heads, rows)
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for position, head in enumerate(heads):
        table.add_column(head, justify="right" if position else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    Console(width=110).print(table)
