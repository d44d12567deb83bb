"""The standard output and error of a child process, as events in its parent's log."""

import os
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from threading import Thread

from shared.logs import STDERR, get_logger

#: How long `close` waits for the last lines: a process that the child started may keep the pipe open.
_LAST_LINES_S = 1.0


class ChildOutput:
    """A pipe that a child process takes for its standard output and error.

    C libraries print there without asking Python, and so does `faulthandler` when the process crashes. The parent
    outlives the crash, so it is the parent that turns these lines into events.
    """

    def __init__(self) -> None:
        self._reader, self.writer = Pipe(duplex=False)
        self._thread = Thread(target=_log_lines, args=(self._reader,), name="child-output", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Log the remaining lines. Call once the child has ended."""
        self.writer.close()
        self._thread.join(_LAST_LINES_S)


def _log_lines(reader: Connection) -> None:
    with reader, os.fdopen(reader.fileno(), errors="backslashreplace", closefd=False) as lines:
        for line in lines:
            if line.strip():
                get_logger().warning("child_output", message=line.rstrip("\n"))


def redirect_output(writer: Connection) -> int:
    """Send this process's standard output and error to its parent, from C libraries too. Return a descriptor of the
    original standard error, for the log."""
    original_stderr = os.dup(STDERR)
    os.dup2(writer.fileno(), 1)
    os.dup2(writer.fileno(), STDERR)
    writer.close()
    return original_stderr
