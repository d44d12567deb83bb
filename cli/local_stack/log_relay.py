"""One log for the whole stack: what each process writes, as whole JSON lines."""

import os
import selectors
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Self

from cli.local_stack.log_lines import json_lines

_BLOCK_BYTES = 65_536

#: A longer line is cut: something else than text is being written.
_LONGEST_LINE_BYTES = 1 << 20


class LogRelay:
    """Use as a context manager. Reads a named pipe per process, so that lines of one process do not end up within lines
    of another, and writes each line to the log in one piece."""

    def __init__(self, folder: Path, names: Iterable[str], log: int) -> None:
        """`folder` is for the pipes; `log` is a file descriptor."""
        self._log = log
        self._folder = folder
        self._pipes = dict[int, str]()
        self._lines = dict[int, bytes]()
        """By pipe, the line that is not complete yet."""
        for name in names:
            os.mkfifo(self.path(name), 0o600)
            # For writing as well: a pipe without a writer would be at its end, and have no reader when one comes.
            pipe = os.open(self.path(name), os.O_RDWR | os.O_NONBLOCK)
            self._pipes[pipe], self._lines[pipe] = name, b""
        self._end, self._stop = os.pipe()
        self._thread = Thread(target=self._run, name="log-relay", daemon=True)

    def path(self, name: str) -> Path:
        """The named pipe that a process writes to."""
        return self._folder / f"{name}.log"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._stop)
        self._thread.join()
        for pipe in (*self._pipes, self._end):
            os.close(pipe)

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            for pipe in (*self._pipes, self._end):
                selector.register(pipe, selectors.EVENT_READ)
            is_ending = False
            while not is_ending:
                ready = [key.fd for key, _ in selector.select()]
                is_ending = self._end in ready
                for pipe in ready:
                    if pipe != self._end:
                        self._read(pipe)
        for pipe in self._pipes:
            while self._read(pipe):
                pass
            self._write(self._lines[pipe], self._pipes[pipe])

    def _read(self, pipe: int) -> bool:
        """Log what lies in a pipe; False if there is nothing."""
        try:
            data = os.read(pipe, _BLOCK_BYTES)
        except BlockingIOError:
            return False
        *lines, rest = (self._lines[pipe] + data).split(b"\n")
        if len(rest) > _LONGEST_LINE_BYTES:
            lines, rest = [*lines, rest], b""
        self._lines[pipe] = rest
        for line in lines:
            self._write(line, self._pipes[pipe])
        return True

    def _write(self, line: bytes, name: str) -> None:
        if not line.strip():
            return
        data = b"".join(each + b"\n" for each in json_lines(line, name))
        # Where the log cannot be written, the pipes are emptied all the same: the stack would wait for it.
        with suppress(OSError):
            while data:
                data = data[os.write(self._log, data) :]
