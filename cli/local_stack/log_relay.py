"""One log for the whole stack: the output of all processes, as whole JSON lines."""

import os
import selectors
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Self

from cli.local_stack.log_lines import json_lines

_BLOCK_BYTES = 65_536

#: A longer line is cut: a process that writes one does not write text.
_MAX_LINE_BYTES = 1 << 20


class LogRelay:
    """Use as a context manager. Reads one named pipe for each process, so that the lines of several processes do not
    mix, and writes each line to the log as a whole."""

    def __init__(self, folder: Path, names: Iterable[str], log: int) -> None:
        """`folder` is for the pipes; `log` is a file descriptor."""
        self._log = log
        self._folder = folder
        self._names = dict[int, str]()
        """The name of the process, by its pipe."""
        self._incomplete_lines = dict[int, bytes]()
        """The line whose end has not been read yet, by pipe."""
        for name in names:
            os.mkfifo(self.path(name), 0o600)
            # Also for writing: without a writer a pipe is at its end, and a process that opens it later has no reader.
            pipe = os.open(self.path(name), os.O_RDWR | os.O_NONBLOCK)
            self._names[pipe] = name
            self._incomplete_lines[pipe] = b""
        self._stop_reader, self._stop_writer = os.pipe()
        self._thread = Thread(target=self._run, name="log-relay", daemon=True)

    def path(self, name: str) -> Path:
        """The named pipe for the output of a process."""
        return self._folder / f"{name}.log"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._stop_writer)
        self._thread.join()
        for pipe in (*self._names, self._stop_reader):
            os.close(pipe)

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            for pipe in (*self._names, self._stop_reader):
                selector.register(pipe, selectors.EVENT_READ)
            is_stopping = False
            while not is_stopping:
                ready = [key.fd for key, _ in selector.select()]
                is_stopping = self._stop_reader in ready
                for pipe in ready:
                    if pipe != self._stop_reader:
                        self._relay_block(pipe)
        for pipe, name in self._names.items():
            while self._relay_block(pipe):
                pass
            self._write_line(self._incomplete_lines[pipe], name)

    def _relay_block(self, pipe: int) -> bool:
        """Write the complete lines of the next block of a pipe to the log. Return False if the pipe is empty."""
        try:
            block = os.read(pipe, _BLOCK_BYTES)
        except BlockingIOError:
            return False
        *lines, rest = (self._incomplete_lines[pipe] + block).split(b"\n")
        if len(rest) > _MAX_LINE_BYTES:
            lines.append(rest)
            rest = b""
        self._incomplete_lines[pipe] = rest
        for line in lines:
            self._write_line(line, self._names[pipe])
        return True

    def _write_line(self, line: bytes, name: str) -> None:
        if not line.strip():
            return
        data = b"".join(json_line + b"\n" for json_line in json_lines(line, name))
        # A log that cannot be written is ignored: the processes would block if their pipes were not read.
        with suppress(OSError):
            while data:
                data = data[os.write(self._log, data) :]
