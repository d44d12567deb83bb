"""`cascade up`: run the stack without Docker."""

import signal
from pathlib import Path

from cli.errors import CommandError
from cli.local_stack.running_stack import find_running_stack, publish_stack_url
from cli.local_stack.stack import start_stack


def run_stack(data_dir: Path, port: int | None) -> None:
    """Start the stack and keep it running until Ctrl-C.

    Raises:
        CommandError: a stack is running already, or this one cannot start.
    """
    running = find_running_stack(data_dir)
    if running:
        raise CommandError(f"A stack is already running at {running.url}. Stop it, or set DATA_DIR to another folder.")
    try:
        with start_stack(data_dir, port) as stack, publish_stack_url(stack):
            print(f"\nReady at {stack.url}   (API docs: {stack.url}/docs, stop with Ctrl-C)", flush=True)
            signal.pause()
    except KeyboardInterrupt:
        print("Stopped.")
