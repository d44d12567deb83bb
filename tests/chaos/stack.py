"""The real stack: Redis, two workers of each stage, the API, and a supervisor that restarts processes."""

import asyncio
import json
import os
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from chaos.disk import Disk
from chaos.llm_server import ErraticLlmServer
from chaos.misbehaviors import Misbehaviors
from chaos.proxy import Proxy
from chaos.schedule import WORKERS
from cli.local_stack.ports import free_port
from shared.background import cancel_all
from shared.queue.queue import Queue
from support.redis_server import RedisServer, redis_binaries
from support.services import TESTS, ServiceProcesses

#: A second API, which refuses uploads because the queue is full while the first one accepts them.
FULL_QUEUE_API = "api-full-queue"
PROCESSES = ("api", FULL_QUEUE_API, *WORKERS)

#: The memory at which the campaign's out-of-memory killer ends an engine. An engine that works needs a third of it.
_MAX_ENGINE_BYTES = 500_000_000

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
    # The campaign's faults must not use up a job's attempts; most permanent misbehaviors end a job sooner.
    "MAX_ATTEMPTS": "7",
    "MAX_UPLOAD_MB": "1",
    "MAX_LIVE_JOBS": "100000",
    "RATE_LIMIT": "off",
}


@dataclass(frozen=True)
class UnexpectedExit:
    """The exit of a process that the campaign had not stopped, or that should have exited with 0."""

    name: str
    code: int


class Stack:
    """The stack is started and stopped as a whole; faults affect its parts."""

    def __init__(self, base: Path, *, seed: int, jobs: int, appendfsync: str) -> None:
        markers = base / "markers"
        redis_dir = base / "redis"
        for folder in (markers, redis_dir):
            folder.mkdir(parents=True)
        self.disk = Disk(base / "volume", size_mb=32 + jobs // 10)
        self.redis = RedisServer(next(iter(redis_binaries().values())), redis_dir, appendfsync=appendfsync)
        self.proxy = Proxy(free_port(), self.redis.port)
        self.llm_server = ErraticLlmServer(Misbehaviors(seed, jobs, markers))
        self.locks = {name: asyncio.Lock() for name in (*PROCESSES, "redis", "volume")}
        """Held while a fault affects that part."""
        self.unexpected_exits: list[UnexpectedExit] = []
        self.engines_killed = 0
        self._engine_settings = {"CHAOS_SEED": str(seed), "CHAOS_JOBS": str(jobs), "CHAOS_MARKERS": str(markers)}
        self._log_offsets: dict[str, int] = {}
        self._worker_names: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        """Start everything, and wait until every worker is warm."""
        async with AsyncExitStack() as exits:
            self.disk.mount()
            exits.callback(self.disk.unmount)
            await asyncio.to_thread(self.redis.start)
            exits.callback(self.redis.kill)
            await self.proxy.listen()
            exits.push_async_callback(self.proxy.close)
            exits.enter_context(self.llm_server)
            self.queue = Queue.connect(
                self.redis.url
            )  # not through the proxy: the campaign must reach Redis during a fault
            exits.push_async_callback(self.queue.close)
            self.services = self._make_services()
            # With SIGTERM, as an operator does: a process that does not exit fails the run.
            exits.push_async_callback(asyncio.to_thread, self.services.stop)
            for name in PROCESSES:
                self.start_process(name)
            await asyncio.to_thread(self.services.wait_until_ready, stt=2, llm=2, tts=2)
            tasks = [asyncio.create_task(task()) for task in (self._restart_exited, self._kill_large_engines)]
            exits.push_async_callback(cancel_all, tasks)
            self._exits = exits.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exits.aclose()

    def _make_services(self) -> ServiceProcesses:
        settings = _SETTINGS | self._engine_settings | {"OPENAI_BASE_URL": f"{self.llm_server.url}/v1"}
        services = ServiceProcesses(f"redis://127.0.0.1:{self.proxy.port}/0", self.disk.path, **settings)
        self.full_queue_url = f"http://127.0.0.1:{free_port()}"
        services.own_settings = {
            "llm-2": {"LLM_ENGINE": "erratic"},
            FULL_QUEUE_API: {"MAX_LIVE_JOBS": "1", "API_PORT": self.full_queue_url.rpartition(":")[2]},
        }
        return services

    def start_process(self, name: str) -> None:
        """Start a process that is not running."""
        log = self.services.log(name)
        self._worker_names.pop(name, None)
        self._log_offsets[name] = log.stat().st_size if log.exists() else 0
        self.services.start(name)

    def kill_process(self, name: str) -> None:
        """Kill a process with SIGKILL."""
        self.services.kill(name)

    def record_exit(self, name: str, code: int) -> None:
        """Record an unexpected exit of a process."""
        self.unexpected_exits.append(UnexpectedExit(name, code))

    def worker_name(self, name: str) -> str | None:
        """The name under which the process holds tasks; None while it is not ready."""
        if name not in self._worker_names:
            log = self.services.log(name).read_bytes()[self._log_offsets[name] :]
            if ready := next((line for line in log.splitlines() if b'"worker_ready"' in line), None):
                self._worker_names[name] = json.loads(ready)["worker"]
        return self._worker_names.get(name)

    def count_log_lines(self, field: str, value: str) -> int:
        """Count the processes' log lines in which `field` is `value`."""
        text = f'"{field}": "{value}"'.encode()
        return sum(self.services.log(name).read_bytes().count(text) for name in PROCESSES)

    def pids(self, name: str) -> list[int]:
        """The ids of the process and its children."""
        process = psutil.Process(self.services.processes[name].pid)
        return [process.pid, *(child.pid for child in process.children(recursive=True))]

    def leftover_processes(self) -> list[str]:
        """The command lines of processes that outlived the stack, such as engines whose worker was killed."""
        leftovers = []
        for process in psutil.process_iter(["cmdline"]):
            with suppress(psutil.Error):
                if process.environ().get("CHAOS_MARKERS") == self._engine_settings["CHAOS_MARKERS"]:
                    leftovers.append(" ".join(process.info["cmdline"]))
        return leftovers

    async def _restart_exited(self) -> None:
        """Restart processes that exit, as a container's restart policy does; the faults' own kills are not listed."""
        while True:
            for name, process in list(self.services.processes.items()):
                if process.poll() is not None and not self.locks[name].locked():
                    self.record_exit(name, process.returncode)
                    self.start_process(name)
            await asyncio.sleep(0.2)

    async def _kill_large_engines(self) -> None:
        """Kill engines that use too much memory, as the kernel does when memory runs out."""
        while True:
            for name, process in list(self.services.processes.items()):
                if name.startswith("api"):
                    continue
                with suppress(psutil.Error):
                    for engine in psutil.Process(process.pid).children(recursive=True):
                        if engine.memory_info().rss > _MAX_ENGINE_BYTES:
                            engine.kill()
                            self.engines_killed += 1
            await asyncio.sleep(0.1)
