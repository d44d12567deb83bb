"""The `cascade` command."""

import signal
import sys
from io import TextIOWrapper
from types import FrameType
from typing import Annotated

import typer

from cli.commands import dead_letters as dead
from cli.commands import queues
from cli.commands.ask import ask, say
from cli.commands.talk import talk
from cli.commands.watch import watch
from cli.errors import EXIT_CODES, CommandError
from cli.terminal.escape import plain_text

app = typer.Typer(
    name="cascade",
    help="Talk to Cascade Speech-to-Speech, run it, and look after it.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    context_settings={"max_content_width": 100},
    rich_markup_mode=None,  # plain help: rich would take longer to import than everything else together
    pretty_exceptions_enable=False,
)
for talking in (talk, ask, say):
    app.command(epilog=EXIT_CODES)(talking)
app.command()(watch)
app.command("queues")(queues.show)
app.add_typer(dead.app, name="dead")


def main() -> None:
    """Run what the command line asks for. Exits with a message on standard error if that fails, and with a code that
    says why: see `cli.errors`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # an answer may hold what this terminal's encoding does not know
            stream.reconfigure(errors="backslashreplace")
    # Stopping in order is what leaving the blocks does, whichever signal asks for it.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app()
    except CommandError as error:
        sys.stderr.write(f"cascade: {plain_text(error)}\n")
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


@app.command()
def up(
    port: Annotated[
        int | None, typer.Option(help="The API's port; without it 8000, or a free one where that is taken.")
    ] = None,
) -> None:
    """Start the whole stack without Docker; Ctrl-C stops it."""
    # Not at the top: `--help` needs neither supervisor nor pydantic.
    from cli.local_stack.running_stack import announced, find_running
    from cli.local_stack.stack import running_stack
    from shared.settings import SharedSettings, read_settings

    data_dir = read_settings(SharedSettings).data_dir
    running = find_running(data_dir)
    if running:
        raise CommandError(f"A stack is running already at {running.url}. Stop it, or set DATA_DIR to another folder.")
    try:
        with running_stack(data_dir, port) as stack, announced(stack):
            print(f"\nReady at {stack.url}   (API docs: {stack.url}/docs, stop with Ctrl-C)", flush=True)
            signal.pause()
    except KeyboardInterrupt:
        print("Stopped.")


@app.command()
def demo() -> None:
    """Send a sample question through the stack and print what came back."""
    from cli.commands.demo import run_demo  # not at the top: `--help` needs neither supervisor nor rich
    from shared.settings import SharedSettings, read_settings

    run_demo(read_settings(SharedSettings).data_dir)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
