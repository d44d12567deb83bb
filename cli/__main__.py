"""The `cascade` command."""

import signal
import sys
from types import FrameType
from typing import Annotated

import typer

from cli import dead, queues
from cli.demo import run_demo
from cli.errors import CommandError
from cli.stack import running_stack
from cli.state import announced, find_running
from shared.settings import SharedSettings, read_settings

app = typer.Typer(
    name="cascade",
    help="Run Cascade Speech-to-Speech, and look after it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("queues")(queues.show)
app.add_typer(dead.app, name="dead")


def main() -> None:
    """Run what the command line asks for. Exits with 1 and a message on standard error if that fails, with 2 if the
    command line is wrong, and with 130 if it is interrupted."""
    # Stopping in order is what leaving the blocks does, whichever signal asks for it.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app()
    except CommandError as error:
        sys.stderr.write(f"cascade: {error}\n")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


@app.command()
def up(
    port: Annotated[
        int | None, typer.Option(help="The API's port; without it 8000, or a free one where that is taken.")
    ] = None,
) -> None:
    """Start the whole stack without Docker, and keep it running until Ctrl-C."""
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
    run_demo(read_settings(SharedSettings).data_dir)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
