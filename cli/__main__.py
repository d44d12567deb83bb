"""The `cascade` command."""

import signal
import sys
from io import TextIOWrapper
from types import FrameType
from typing import Annotated

import typer

from cli.commands import dead_letters
from cli.commands.ask import ask, say
from cli.commands.queues import queues
from cli.commands.talk import talk
from cli.commands.watch import watch
from cli.errors import EXIT_CODES, CommandError
from cli.terminal.escape import escape_text

app = typer.Typer(
    name="cascade",
    help="Talk to Cascade Speech-to-Speech, run it, and operate it.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    context_settings={"max_content_width": 100},
    rich_markup_mode=None,  # plain help: rich would take longer to import than everything else together
    pretty_exceptions_enable=False,
)
for job_command in (talk, ask, say):
    app.command(epilog=EXIT_CODES)(job_command)
app.command()(watch)
app.command()(queues)
app.add_typer(dead_letters.app, name="dead")


def main() -> None:
    """Run the command line. On an error, exit with a message on standard error and an exit code of `cli.errors`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # an answer may contain characters that the terminal's encoding lacks
            stream.reconfigure(errors="backslashreplace")
    # As Ctrl-C: an exception leaves the `with` blocks, whose clean-up stops everything in order.
    signal.signal(signal.SIGTERM, _raise_interrupt)
    try:
        app()
    except CommandError as error:
        sys.stderr.write(f"cascade: {escape_text(error)}\n")
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


@app.command()
def up(
    port: Annotated[
        int | None, typer.Option(help="The API's port. Default: 8000, or a free one if that is taken.")
    ] = None,
) -> None:
    """Start the whole stack without Docker; Ctrl-C stops it."""
    from cli.commands.up import run_stack  # not at the top: `--help` needs neither supervisor nor pydantic
    from shared.settings import SharedSettings, read_settings

    run_stack(read_settings(SharedSettings).data_dir, port)


@app.command()
def demo() -> None:
    """Send a sample question through the stack and print the result."""
    from cli.commands.demo import run_demo  # not at the top: `--help` needs neither supervisor nor rich
    from shared.settings import SharedSettings, read_settings

    run_demo(read_settings(SharedSettings).data_dir)


def _raise_interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
