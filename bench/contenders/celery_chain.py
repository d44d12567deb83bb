"""Celery with its safe settings: a chain of three tasks, late acknowledgement, prefetch of one, solo processes."""

import sys
from typing import Any

from celery import Celery, chain  # type: ignore[import-untyped]


def make_app(url: str) -> Any:
    app: Any = Celery("bench", broker=url, backend=url)
    app.conf.update(
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
    )

    def pass_on(job: str = "") -> str:
        return job

    for stage in ("stt", "llm", "tts"):
        app.task(pass_on, name=stage, queue=stage)
    return app


class Client:
    channel_pattern = "celery-task-meta-*"  # the result backend announces each task's end there

    def __init__(self, url: str) -> None:
        self._app = make_app(url)

    async def submit(self) -> str:
        tasks = self._app.tasks
        return str(chain(tasks["stt"].s(), tasks["llm"].s(), tasks["tts"].s()).apply_async().id)

    def announces_end(self, channel: str, data: str, job: str) -> bool:
        return channel == f"celery-task-meta-{job}"

    async def has_ended(self, redis: Any, job: str) -> bool:
        return bool(await redis.exists(f"celery-task-meta-{job}"))

    async def close(self) -> None:
        self._app.close()


if __name__ == "__main__":
    options = "--pool=solo --concurrency=1 --loglevel=ERROR --without-gossip --without-mingle --without-heartbeat"
    make_app(sys.argv[2]).worker_main(["--quiet", "worker", *options.split(), f"--queues={sys.argv[1]}"])
