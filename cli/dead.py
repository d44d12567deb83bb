"""The dead list: tasks that were set aside."""

from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.client import Client, Key, Url
from cli.errors import CommandError

app = typer.Typer(help="Look after tasks that failed for good.", no_args_is_help=True)

Job = Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")]


@app.command("list")
def show_all(
    limit: Annotated[int, typer.Option(help="How many at most.")] = 100, url: Url = None, key: Key = None
) -> None:
    """List them, the latest first."""
    letters = Client(url, key).ask("GET", "/dead", params={"limit": limit})
    table = Table("job", "stage", "failed at", "attempts", "code", "message")
    for letter in letters:
        cells = letter["stage"], _time(letter), letter["attempts"], letter["code"], letter["message"]
        table.add_row(
            letter["job_id"] or escape(letter["task"]), *("" if cell is None else escape(str(cell)) for cell in cells)
        )
    Console().print(table if letters else "Nothing was set aside.")


@app.command("show")
def show_one(job: Job, url: Url = None, key: Key = None) -> None:
    """Show what was set aside of a job, with its input."""
    for letter in Client(url, key).ask("GET", f"/dead/{job}"):
        for name, value in (letter | {"failed_at": _time(letter)}).items():
            Console().print(f"[bold]{name:10}[/] {'' if value is None else escape(str(value))}", soft_wrap=True)


@app.command()
def retry(job: Job, url: Url = None, key: Key = None) -> None:
    """Try a failed job again, from the stage that failed."""
    Client(url, key).ask("POST", f"/jobs/{job}/retry")
    print(f"{job} is on its way again.")


@app.command()
def purge(
    job: Annotated[str | None, typer.Argument(metavar="JOB", help="The job's id.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Drop all that was set aside.")] = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Drop what was set aside, with its input, of one job or all."""
    if (job is None) != every:
        raise CommandError("Name a job, or say --all.")
    path = "/dead?jobs=all" if every else f"/dead/{job}"
    print(f"{Client(url, key).ask('DELETE', path)['purged']} tasks dropped.")


def _time(letter: dict[str, Any]) -> str:
    return "" if letter["failed_at"] is None else f"{datetime.fromtimestamp(letter['failed_at']):%Y-%m-%d %H:%M:%S}"
