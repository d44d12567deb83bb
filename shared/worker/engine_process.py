"""An engine in a child process of its worker.

A model may hold the interpreter's lock for seconds, crash the process, or hang. In a child process it does not stop the
worker's heartbeat: the worker detects a crash at once, kills an engine that hangs, and starts a new one.
"""

import asyncio
import multiprocessing
import os
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import BrokenExecutor
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar

import pebble

from shared.errors import CascadeError, EngineCrashed, EngineTimeout, StartupError
from shared.logs import configure_logs
from shared.queue.messages import WorkerInfo
from shared.queue.stages import Stage
from shared.worker.child_output import ChildOutput, redirect_output


class Named(Protocol):
    """An object with an engine's name and model."""

    name: str
    model: str


EngineT = TypeVar("EngineT", bound=Named)
ResultT = TypeVar("ResultT")
P = ParamSpec("P")


class EngineProcess(Generic[EngineT]):
    """Owns the child process in which an engine is loaded and runs one call at a time."""

    def __init__(self, load: Callable[[], EngineT], *, service: str, log_level: str) -> None:
        """Start a child that calls `load`, which must be picklable: a module's function, or a `partial` of one."""
        self._output = ChildOutput()
        self._arguments = (load, service, log_level, self._output.writer)
        self._pool = self._new_pool()

    def _new_pool(self) -> pebble.ProcessPool:
        return pebble.ProcessPool(
            max_workers=1,
            context=multiprocessing.get_context("spawn"),
            initializer=_start,
            initargs=self._arguments,
        )

    async def start(self) -> tuple[str, str]:
        """Wait until the engine is loaded; return its name and its model.

        Raises:
            StartupError: the engine cannot be loaded as configured.
        """
        try:
            return await self._call(None, _describe)
        except EngineCrashed:
            raise StartupError("The engine crashed while it was loaded. Set another engine, model or device.") from None

    async def run(
        self,
        method: Callable[Concatenate[EngineT, P], ResultT],
        timeout_s: float,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> ResultT:
        """Call a method of the engine, passed as `Engine.method`. Cancelling this kills the child and starts a new one.

        Raises:
            EngineCrashed: the child died.
            EngineTimeout: the call took longer than `timeout_s`; the child was killed.
            CascadeError: the engine's error.
        """
        return await self._call(timeout_s, _apply, method.__name__, args, kwargs)

    async def _call(self, timeout_s: float | None, function: Callable[..., ResultT], *args: Any) -> ResultT:
        try:
            future = self._pool.schedule(function, args=args, timeout=timeout_s)
            result: ResultT = await asyncio.wrap_future(future)
        except pebble.ProcessExpired as error:
            raise EngineCrashed from error
        except BrokenExecutor as error:  # the engine crashed while it was loaded, which ends the pool
            self._end_child()
            self._pool = self._new_pool()
            raise EngineCrashed from error
        except TimeoutError as error:
            raise EngineTimeout from error
        return result

    def close(self) -> None:
        """Kill the child, even during a call."""
        self._end_child()
        self._output.close()

    def _end_child(self) -> None:
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()


@asynccontextmanager
async def warm_engine(
    stage: Stage, load: Callable[[], EngineT], log_level: str
) -> AsyncIterator[tuple[EngineProcess[EngineT], WorkerInfo]]:
    """Load a stage's engine in a process that ends with the block.

    Raises:
        StartupError: the engine cannot be loaded as configured.
    """
    process = EngineProcess(load, service=f"{stage}-worker", log_level=log_level)
    try:
        name, model = await process.start()
        yield process, WorkerInfo(stage, name, model)
    finally:
        process.close()


# The code below runs in the child.

_engine: Any = None
_failure: CascadeError | None = None


def _start(load: Callable[[], Named], service: str, log_level: str, output: Connection) -> None:
    global _engine, _failure
    # In its own session the engine does not get a signal to the worker's process group (Ctrl-C, a supervisor's
    # SIGTERM), which would end it before the worker has finished its task.
    os.setsid()
    threading.Thread(target=_die_with_parent, daemon=True).start()
    configure_logs(log_level, service, redirect_output(output))
    try:
        _engine = load()
    except CascadeError as error:
        _failure = error


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _describe() -> tuple[str, str]:
    if _failure is not None:
        raise _failure
    return _engine.name, _engine.model


def _apply(method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    _describe()
    return getattr(_engine, method)(*args, **kwargs)
