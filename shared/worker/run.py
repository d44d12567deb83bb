"""Start and end of a worker's process."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import uvloop

from shared.errors import QueueUnavailable, StartupError
from shared.logs import configure_logs, get_logger
from shared.queue.queue import Queue
from shared.queue.stages import Stage
from shared.settings import CANNOT_START, WorkerSettings
from shared.storage.local import LocalStorage
from shared.storage.storage import Storage
from shared.worker.backoff import RECONNECT_S
from shared.worker.handler import Handler
from shared.worker.watchdog import watchdog
from shared.worker.worker import Worker

#: Opens a stage's handler with a warm engine, for as long as the context lasts.
OpenStage = Callable[[Storage], AbstractAsyncContextManager[Handler]]


def run_stage(stage: Stage, settings: WorkerSettings, open_stage: OpenStage, *, concurrency: int = 1) -> None:
    """Run one worker until SIGTERM or SIGINT; exit with status 2 and one line in the log if it cannot start."""
    configure_logs(settings.log_level, f"{stage}-worker")
    try:
        uvloop.run(_serve(settings, open_stage, concurrency))
    except StartupError as error:
        get_logger().error("startup_failed", code=error.code, stage=stage, message=error.public_message)
        raise SystemExit(CANNOT_START) from None


async def _serve(settings: WorkerSettings, open_stage: OpenStage, concurrency: int) -> None:
    # Signals get handlers only once the worker runs: until then, as while a model loads, they end the process at once.
    storage = LocalStorage(settings.data_dir)
    storage.prepare()
    queue = Queue.connect(settings.redis_url, password=settings.redis_password)
    try:
        await _wait_for_redis(queue)
        async with open_stage(storage) as handler:
            worker = Worker(
                queue,
                handler,
                concurrency=concurrency,
                max_attempts=settings.max_attempts,
                grace_s=settings.shutdown_grace_s,
                health_file=settings.health_file,
            )
            for signal_number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(signal_number, worker.stop)
            async with watchdog():
                await worker.run()
    finally:
        await queue.close()


async def _wait_for_redis(queue: Queue) -> None:
    last_reason = ""
    while True:
        try:
            await queue.ping()
        except QueueUnavailable as error:
            reason = str(error.__cause__)  # Redis is down, or a password or certificate is wrong
            if reason != last_reason:
                get_logger().warning("queue_unavailable", message="Waiting for Redis at REDIS_URL.", reason=reason)
            last_reason = reason
            await asyncio.sleep(RECONNECT_S)
        else:
            return
