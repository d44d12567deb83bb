"""The dead list: tasks that were set aside."""

from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

import typer

from cli.errors import WrongUsage
from cli.settings import Key, Url
from cli.terminal.escape import plain

app = typer.Typer(help="Look after tasks that failed for good.", no_args_is_help=True, rich_markup_mode=None)

Job = Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")]


@app.command("list")
def show_all(
    limit: Annotated[int, typer.Option(help="How many at most.")] = 100, url: Url = None, key: Key = None
) -> None:
    """List them, the latest first."""
    from rich.console import Console  # not at the top: `--help` needs no rich
    from rich.table import Column, Table

    letters = _ask(url, key, "GET", "/dead-letters", params={"limit": limit})
    job = Column("job", no_wrap=True, min_width=32)  # whole even where there is little room: `show` and `retry` want it
    table = Table(job, "stage", "failed at", "attempts", "code", "message")
    for letter in letters:
        cells = letter["stage"], _time(letter), letter["attempts"], letter["code"], letter["message"]
        table.add_row(*map(plain, (letter["job_id"] or letter["task"], *cells)))
    Console().print(table if letters else "Nothing was set aside.")


@app.command("show")
def show_one(job: Job, url: Url = None, key: Key = None) -> None:
    """Show what was set aside of a job, with its input."""
    from rich.console import Console  # not at the top: `--help` needs no rich
    from rich.text import Text

    for letter in _ask(url, key, "GET", f"/dead-letters/{_quoted(job)}"):
        for name, value in (letter | {"failed_at": _time(letter)}).items():
            Console().print(Text(f"{name:10} ", "bold") + plain(value), soft_wrap=True)


@app.command()
def retry(job: Job, url: Url = None, key: Key = None) -> None:
    """Try a failed job again, from the stage that failed."""
    _ask(url, key, "POST", f"/jobs/{_quoted(job)}/retry")
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
        raise WrongUsage("Name a job, or say --all.")
    path = f"/dead-letters/{_quoted(job)}" if job is not None else "/dead-letters?jobs=all"
    print(f"{_ask(url, key, 'DELETE', path)['purged']} tasks dropped.")


def _ask(url: str | None, key: str | None, method: str, path: str, **options: Any) -> Any:
    from cli.client.sync_client import CascadeClient  # not at the top: `--help` needs no httpx

    return CascadeClient(url, key).ask(method, path, **options)


def _quoted(job: str) -> str:
    if not job:
        raise WrongUsage("Name a job.")
    return quote(job, safe="")


def _time(letter: dict[str, Any]) -> str:
    try:
        return "" if letter["failed_at"] is None else f"{datetime.fromtimestamp(letter['failed_at']):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):  # somebody else has written it
        return str(letter["failed_at"])
