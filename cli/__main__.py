"""The `cascade` command."""

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from cli.demo import run_demo
from cli.errors import CommandError
from cli.stack import running_stack
from cli.state import announced, find_running
from shared.settings import SharedSettings, read_settings


def main() -> None:
    """Parse the command line and run what it asks for. Exits with 1 and a message on standard error if that fails."""
    parser = argparse.ArgumentParser(prog="cascade", description="Run Cascade Speech-to-Speech without Docker.")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start the whole stack and keep it running until Ctrl-C")
    up.add_argument("--port", type=int, help="the API's port; without it 8000, or a free one where that is taken")
    commands.add_parser("demo", help="send a sample question through the stack and print what came back")
    arguments = parser.parse_args()

    data_dir = read_settings(SharedSettings).data_dir
    # Stopping in order is what leaving the blocks does, whichever signal asks for it.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        if arguments.command == "up":
            _up(data_dir, arguments.port)
        else:
            run_demo(data_dir)
    except CommandError as error:
        sys.stderr.write(f"cascade: {error}\n")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _up(data_dir: Path, port: int | None) -> None:
    running = find_running(data_dir)
    if running:
        raise CommandError(f"A stack is running already at {running.url}. Stop it, or set DATA_DIR to another folder.")
    try:
        with running_stack(data_dir, port) as stack, announced(stack):
            print(f"\nReady at {stack.url}   (API docs: {stack.url}/docs, stop with Ctrl-C)", flush=True)
            signal.pause()
    except KeyboardInterrupt:
        print("Stopped.")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
