"""The log: one JSON object a line, for events of services and libraries, warnings and uncaught exceptions."""

import faulthandler
import fcntl
import io
import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    import structlog

STDERR = 2


def get_logger() -> "structlog.typing.FilteringBoundLogger":
    """Return the logger of this process."""
    # Not at the top: structlog imports rich where that is installed, which takes 0.1 s, and a program that only builds
    # the application logs nothing. A service loads it when it starts, in `configure_logs`.
    import structlog

    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return logger


def configure_logs(level: str, service: str, descriptor: int = STDERR) -> None:
    """Write all log events of this process from `level` up to a file descriptor. Call this once, at its start."""
    import structlog

    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        partial(_add_service, service),
        structlog.processors.format_exc_info,
    ]
    renderer = structlog.processors.JSONRenderer(ensure_ascii=False)
    threshold = logging.getLevelNamesMapping()[level.upper()]
    output = LineOutput(descriptor)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        # It writes a line and its line feed in one call; PrintLogger makes two.
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, output)),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    # From libraries only warnings and above: at info they log model loading and each HTTP request with its address.
    logging.basicConfig(handlers=[handler], level=max(threshold, logging.WARNING), force=True)
    _capture_python_output()


def _add_service(service: str, _logger: Any, _method: str, event: Any) -> Any:
    # Not a context variable: a new thread has an empty context.
    event["service"] = service
    return event


class LineOutput(io.TextIOBase):
    """A file descriptor that several threads and processes write to, without mixing their lines."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def write(self, text: str) -> int:
        """Write one or more whole lines."""
        # A lone surrogate becomes `\udc80`, which is valid in JSON.
        data = text.encode(errors="backslashreplace")
        # An error is ignored, so that a full disk or a closed pipe behind the log fails no request and no task.
        with self._lock, suppress(OSError), self._exclusive():
            while data:
                data = data[os.write(self._descriptor, data) :]
        return len(text)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Lock the descriptor against other processes: writes to a pipe are atomic up to 4,096 bytes; a traceback is
        longer.

        The kernel releases the lock of a process that dies. Systems that cannot lock a pipe write without a lock.
        """
        with suppress(OSError):
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            with suppress(OSError):
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN)


class _StderrLines(io.TextIOBase):
    """A replacement for `sys.stderr` that logs each line that a library prints there."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._incomplete_line = ""

    def write(self, text: str) -> int:
        with self._lock:
            *lines, self._incomplete_line = (self._incomplete_line + text).split("\n")
        for line in lines:
            if line.strip():
                get_logger().warning("stderr_line", message=line)
        return len(text)

    def fileno(self) -> int:
        return STDERR


def _capture_python_output() -> None:
    """Turn warnings, uncaught exceptions and lines on `sys.stderr` into log events."""
    logging.captureWarnings(True)
    sys.stderr = _StderrLines()
    sys.excepthook = _log_exception
    threading.excepthook = _log_exception_in_thread
    sys.unraisablehook = _log_unraisable
    # For a crash by a signal. It writes plain text to the descriptor, since Python code cannot run any more.
    with suppress(OSError):  # a daemon may have no standard error
        faulthandler.enable(STDERR)


def _log_exception(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        get_logger().warning("interrupted")
    else:
        get_logger().critical("uncaught_exception", exc_info=(kind, error, traceback))


def _log_exception_in_thread(caught: threading.ExceptHookArgs) -> None:
    name = caught.thread.name if caught.thread else None
    error = caught.exc_value or caught.exc_type()
    get_logger().critical(
        "uncaught_exception_in_thread", thread=name, exc_info=(caught.exc_type, error, caught.exc_traceback)
    )


def _log_unraisable(caught: "sys.UnraisableHookArgs") -> None:
    error = caught.exc_value or caught.exc_type()
    get_logger().error(
        "unraisable_exception",
        message=caught.err_msg,
        source=repr(caught.object),
        exc_info=(caught.exc_type, error, caught.exc_traceback),
    )
