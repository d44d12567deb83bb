"""`cascade dead`: list, show, retry and purge the tasks that failed for good."""

from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

import typer

from cli.commands.options import ServerOptions, with_options
from cli.errors import UsageError
from cli.terminal.escape import escape

app = typer.Typer(help="List, retry and purge tasks that failed for good.", no_args_is_help=True, rich_markup_mode=None)

JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")]

#: Wide enough for a job's id, which `show`, `retry` and `purge` take.
_JOB_ID_WIDTH = 32


@app.command("list")
@with_options
def list_letters(
    *, limit: Annotated[int, typer.Option(help="The maximum number of tasks.")] = 100, server: ServerOptions
) -> None:
    """List dead letters, the latest first."""
    from rich.console import Console  # not at the top: `--help` needs no rich
    from rich.table import Column, Table

    letters = _request(server, "GET", "/dead-letters", params={"limit": limit})
    job_column = Column("job", no_wrap=True, min_width=_JOB_ID_WIDTH)
    table = Table(job_column, "stage", "failed at", "attempts", "code", "message")
    for letter in letters:
        job_id = letter["job_id"] or letter["task"]
        cells = (job_id, letter["stage"], _failed_at(letter), letter["attempts"], letter["code"], letter["message"])
        table.add_row(*map(escape, cells))
    Console().print(table if letters else "There are no dead letters.")


@app.command("show")
@with_options
def show_letters(job_id: JobId, server: ServerOptions) -> None:
    """Show the dead letters of a job, with their input."""
    from rich.console import Console  # not at the top: `--help` needs no rich
    from rich.text import Text

    for letter in _request(server, "GET", f"/dead-letters/{_quote_id(job_id)}"):
        for name, value in (letter | {"failed_at": _failed_at(letter)}).items():
            Console().print(Text(f"{name:10} ", "bold") + escape(value), soft_wrap=True)


@app.command("retry")
@with_options
def retry_job(job_id: JobId, server: ServerOptions) -> None:
    """Retry a failed job from the stage that failed."""
    _request(server, "POST", f"/jobs/{_quote_id(job_id)}/retry")
    print(f"Job {job_id} will be retried.")


@app.command("purge")
@with_options
def purge_letters(
    job_id: Annotated[str | None, typer.Argument(metavar="JOB", help="The job's id.")] = None,
    *,
    is_all: Annotated[bool, typer.Option("--all", help="Delete the dead letters of all jobs.")] = False,
    server: ServerOptions,
) -> None:
    """Delete the dead letters of one job or of all, with their input."""
    if (job_id is None) != is_all:
        raise UsageError("Name a job, or use --all.")
    path = f"/dead-letters/{_quote_id(job_id)}" if job_id is not None else "/dead-letters?jobs=all"
    count = _request(server, "DELETE", path)["purged"]
    print(f"Deleted {count} dead letter{'' if count == 1 else 's'}.")


def _request(server: ServerOptions, method: str, path: str, **options: Any) -> Any:
    from cli.client.sync_client import CascadeClient  # not at the top: `--help` needs no httpx

    return CascadeClient(server.url, server.key).request(method, path, **options)


def _quote_id(job_id: str) -> str:
    if not job_id:
        raise UsageError("Name a job.")
    return quote(job_id, safe="")


def _failed_at(letter: dict[str, Any]) -> str:
    failed_at = letter["failed_at"]
    try:
        return "" if failed_at is None else f"{datetime.fromtimestamp(failed_at):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):  # the entry was not written by Cascade, or is damaged
        return str(failed_at)
