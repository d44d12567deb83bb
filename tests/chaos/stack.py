"""The real stack: Redis, two of each worker, the API, and somebody who starts again what ends."""

import asyncio
import json
import os
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from chaos.disk import Disk
from chaos.model import ErraticModel
from chaos.orders import Orders
from chaos.proxy import Proxy
from chaos.schedule import WORKERS
from cli.local_stack.ports import free_port
from shared.background import cancel_all
from shared.queue.queue import Queue
from support.redis_server import RedisServer, redis_binaries
from support.services import TESTS, ServiceProcesses

#: An API of its own, so that uploads can be refused because the queue is full while the other takes them.
NARROW = "api-narrow"
PROCESSES = ("api", NARROW, *WORKERS)

#: What the out-of-memory killer lets an engine have. They need a third of it.
_MEMORY_BYTES = 500_000_000

_SETTINGS = {
    "STT_ENGINE": "erratic",
    "LLM_ENGINE": "openai",
    "TTS_ENGINE": "erratic",
    "GEMINI_API_KEY": "",
    "OPENAI_API_KEY": "",
    "PYTHONPATH": f"{TESTS / 'example_engines'}:{TESTS}:{os.environ.get('PYTHONPATH', '')}",
    "TASK_TIMEOUT_S": "4",
    "STT_TIMEOUT_S": "3",
    "STT_TIMEOUT_RATIO": "0",
    "LLM_TIMEOUT_S": "6",
    "TTS_TIMEOUT_S": "1",
    "LLM_FIRST_TOKEN_TIMEOUT_S": "2",
    "LLM_IDLE_TIMEOUT_S": "2",
    # The campaign's own faults must not use them up; orders that never pass end sooner by other ways.
    "MAX_ATTEMPTS": "7",
    "MAX_UPLOAD_MB": "1",
    "MAX_LIVE_JOBS": "100000",
    "RATE_LIMIT": "off",
}


@dataclass(frozen=True)
class Death:
    """A process that nobody had killed."""

    name: str
    code: int


class Stack:
    """Started and stopped as one; its parts are done harm to one by one."""

    def __init__(self, base: Path, *, seed: int, jobs: int, appendfsync: str) -> None:
        done, redis_dir = base / "done", base / "redis"
        for folder in (done, redis_dir):
            folder.mkdir(parents=True)
        self.disk = Disk(base / "volume", size_mb=32 + jobs // 10)
        self.redis = RedisServer(next(iter(redis_binaries().values())), redis_dir, appendfsync=appendfsync)
        self.proxy = Proxy(free_port(), self.redis.port)
        self.model = ErraticModel(Orders(seed, jobs, done))
        self.locks = {name: asyncio.Lock() for name in (*PROCESSES, "redis", "volume")}
        """Held while somebody does harm to that part."""
        self.deaths: list[Death] = []
        self.engines_killed = 0
        self._orders = {"CHAOS_SEED": str(seed), "CHAOS_JOBS": str(jobs), "CHAOS_DONE": str(done)}
        self._log_begins: dict[str, int] = {}
        self._worker_names: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        """Start everything, until every worker is warm."""
        async with AsyncExitStack() as started:
            self.disk.mount()
            started.callback(self.disk.unmount)
            await asyncio.to_thread(self.redis.start)
            started.callback(self.redis.kill)
            await self.proxy.listen()
            started.push_async_callback(self.proxy.close)
            started.enter_context(self.model)
            self.queue = Queue.connect(self.redis.url)  # past the proxy: the campaign itself must see
            started.push_async_callback(self.queue.close)
            self.services = self._services()
            # In good order, as an operator does: a process that does not end on SIGTERM fails the run.
            started.push_async_callback(asyncio.to_thread, self.services.stop)
            for name in PROCESSES:
                self.begin(name)
            await asyncio.to_thread(self.services.wait_until_ready, stt=2, llm=2, tts=2)
            chores = [asyncio.create_task(chore()) for chore in (self._restart_the_dead, self._kill_the_greedy)]
            started.push_async_callback(cancel_all, chores)
            self._started = started.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._started.aclose()

    def _services(self) -> ServiceProcesses:
        settings = _SETTINGS | self._orders | {"OPENAI_BASE_URL": f"{self.model.url}/v1"}
        services = ServiceProcesses(f"redis://127.0.0.1:{self.proxy.port}/0", self.disk.path, **settings)
        self.narrow_url = f"http://127.0.0.1:{free_port()}"
        services.own_settings = {
            "llm-2": {"LLM_ENGINE": "erratic"},
            NARROW: {"MAX_LIVE_JOBS": "1", "API_PORT": self.narrow_url.rpartition(":")[2]},
        }
        return services

    def begin(self, name: str) -> None:
        """Start a process that does not run."""
        log = self.services.log(name)
        self._worker_names.pop(name, None)
        self._log_begins[name] = log.stat().st_size if log.exists() else 0
        self.services.start(name)

    def cancel_all(self, name: str) -> None:
        """As `kill -9` does."""
        self.services.kill(name)

    def died(self, name: str, code: int) -> None:
        """Note that a process has ended otherwise than it should."""
        self.deaths.append(Death(name, code))

    def worker_name(self, name: str) -> str | None:
        """What the process calls itself; None while it is not ready."""
        if name not in self._worker_names:
            log = self.services.log(name).read_bytes()[self._log_begins[name] :]
            if ready := next((line for line in log.splitlines() if b'"worker_ready"' in line), None):
                self._worker_names[name] = json.loads(ready)["worker"]
        return self._worker_names.get(name)

    def count_logged(self, field: str, value: str) -> int:
        """Count the processes' log lines in which `field` is `value`."""
        word = f'"{field}": "{value}"'.encode()
        return sum(self.services.log(name).read_bytes().count(word) for name in PROCESSES)

    def pids(self, name: str) -> list[int]:
        """The process and its children."""
        process = psutil.Process(self.services.processes[name].pid)
        return [process.pid, *(child.pid for child in process.children(recursive=True))]

    def leftovers(self) -> list[str]:
        """Processes of the stack that are still there: after the end, engines whose worker has died and left them."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            with suppress(psutil.Error):
                if process.environ().get("CHAOS_DONE") == self._orders["CHAOS_DONE"]:
                    found.append(" ".join(process.info["cmdline"]))
        return found

    async def _restart_the_dead(self) -> None:
        """As a restart policy does. Whoever kills a process takes it off the list first."""
        while True:
            for name, process in list(self.services.processes.items()):
                if process.poll() is not None and not self.locks[name].locked():
                    self.died(name, process.returncode)
                    self.begin(name)
            await asyncio.sleep(0.2)

    async def _kill_the_greedy(self) -> None:
        """As the kernel does when memory runs out."""
        while True:
            for name, process in list(self.services.processes.items()):
                if name.startswith("api"):
                    continue
                with suppress(psutil.Error):
                    for engine in psutil.Process(process.pid).children(recursive=True):
                        if engine.memory_info().rss > _MEMORY_BYTES:
                            engine.kill()
                            self.engines_killed += 1
            await asyncio.sleep(0.1)
