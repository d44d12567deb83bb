"""The injection of faults, with one method for each kind of `schedule.KINDS`."""

import asyncio
import os
import random
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from chaos.load import LoadGenerator
from chaos.schedule import Fault
from chaos.stack import Stack
from shared.errors import QueueUnavailable

#: The share of requests whose reply is lost during `lose_replies`.
_REPLY_LOSS = 0.2

#: A worker's kill is delayed by at most so long until it holds a task: killing an idle worker proves little.
_BUSY_TIMEOUT_S = 1.5


@dataclass
class InjectedFault:
    """A fault that has been injected."""

    fault: Fault
    started_at: float = 0.0
    ended_at: float = 0.0
    """Seconds since the epoch, like the ids of Redis's events."""
    held_tasks: list[str] = field(default_factory=list)
    """The tasks that a killed worker held."""


class FaultInjector:
    """Injects faults into the stack, and ends them."""

    def __init__(self, stack: Stack, load: LoadGenerator) -> None:
        self.injected: list[InjectedFault] = []
        self._stack = stack
        self._load = load

    async def inject(self, fault: Fault) -> None:
        """Wait for the fault's time, inject it, and wait for its end."""
        await asyncio.sleep(fault.start_s)
        injected = InjectedFault(fault)
        self.injected.append(injected)
        await getattr(self, fault.kind)(injected)
        injected.ended_at = time.time()

    async def kill_worker(self, injected: InjectedFault) -> None:
        name = injected.fault.target
        async with self._stack.locks[name]:
            await self._wait_until_busy(name)
            await self._kill_worker(name, injected)
            await asyncio.sleep(injected.fault.duration_s)
            self._stack.start_process(name)

    async def kill_both_workers(self, injected: InjectedFault) -> None:
        names = injected.fault.target, f"{injected.fault.target}-2"
        async with self._stack.locks[names[0]], self._stack.locks[names[1]]:
            await self._wait_until_busy(names[0])
            for name in names:
                await self._kill_worker(name, injected)
            await asyncio.sleep(injected.fault.duration_s)
            for name in names:
                self._stack.start_process(name)

    async def pause_worker(self, injected: InjectedFault) -> None:
        """Pause the worker alone, or with its engine as a paused container does."""
        name = injected.fault.target
        async with self._stack.locks[name]:
            await self._wait_until_busy(name)
            injected.started_at = time.time()
            pids = self._stack.pids(name)
            try:
                for pid in pids if random.random() < 0.5 else pids[:1]:
                    _send_signal(pid, signal.SIGSTOP)
                await asyncio.sleep(injected.fault.duration_s)
            finally:
                for pid in pids:
                    _send_signal(pid, signal.SIGCONT)

    async def terminate_worker(self, injected: InjectedFault) -> None:
        """Send SIGTERM; the worker must exit with 0, unless it was still loading its engine."""
        name = injected.fault.target
        async with self._stack.locks[name]:
            await self._wait_until_busy(name)
            injected.started_at = time.time()
            is_ready = self._stack.worker_name(name) is not None
            process = self._stack.services.processes.pop(name)
            process.terminate()
            code = await asyncio.to_thread(process.wait, 40)
            if code != 0 and (is_ready or code != -signal.SIGTERM):
                self._stack.record_exit(name, code)
            await asyncio.sleep(injected.fault.duration_s)
            self._stack.start_process(name)

    async def kill_api(self, injected: InjectedFault) -> None:
        async with self._stack.locks["api"]:
            await self._restart_api(injected)

    async def kill_api_during_upload(self, injected: InjectedFault) -> None:
        """Kill the API when a client has sent all of its recording, and has no response yet."""
        async with self._stack.locks["api"]:
            body_sent = asyncio.Event()
            self._load.on_body_sent = body_sent.set
            with suppress(TimeoutError):
                await asyncio.wait_for(body_sent.wait(), 5)
            await asyncio.sleep(random.uniform(0, 0.02))
            await self._restart_api(injected)

    async def kill_redis(self, injected: InjectedFault) -> None:
        async with self._stack.locks["redis"]:
            injected.started_at = time.time()
            self._stack.redis.kill()
            await asyncio.sleep(injected.fault.duration_s)
            await asyncio.to_thread(self._stack.redis.start)

    async def disconnect_redis(self, injected: InjectedFault) -> None:
        async with self._stack.locks["redis"]:
            injected.started_at = time.time()
            self._stack.proxy.refuse()
            await asyncio.sleep(injected.fault.duration_s)
            self._stack.proxy.accept()

    async def stall_redis(self, injected: InjectedFault) -> None:
        async with self._stack.locks["redis"]:
            injected.started_at = time.time()
            self._stack.proxy.pause()
            await asyncio.sleep(injected.fault.duration_s)
            self._stack.proxy.resume()

    async def lose_replies(self, injected: InjectedFault) -> None:
        async with self._stack.locks["redis"]:
            injected.started_at = time.time()
            self._stack.proxy.loss = _REPLY_LOSS
            await asyncio.sleep(injected.fault.duration_s)
            self._stack.proxy.loss = 0.0

    async def exhaust_redis_memory(self, injected: InjectedFault) -> None:
        async with self._stack.locks["redis"]:
            injected.started_at = time.time()
            client = self._stack.queue.client
            await client.command("config_set", "maxmemory", "1mb")
            await asyncio.sleep(injected.fault.duration_s)
            await client.command("config_set", "maxmemory", "0")

    async def flush_scripts(self, injected: InjectedFault) -> None:
        async with self._stack.locks["redis"]:
            injected.started_at = time.time()
            await self._stack.queue.client.command("script_flush")

    async def fill_disk(self, injected: InjectedFault) -> None:
        async with self._stack.locks["volume"]:
            injected.started_at = time.time()
            try:
                for _ in range(round(injected.fault.duration_s / 0.1)):
                    self._stack.disk.fill()  # again and again: a failed write frees its space
                    await asyncio.sleep(0.1)
            finally:
                self._stack.disk.free()

    async def _restart_api(self, injected: InjectedFault) -> None:
        injected.started_at = time.time()
        self._stack.kill_process("api")
        await asyncio.sleep(injected.fault.duration_s)
        self._stack.start_process("api")

    async def _kill_worker(self, name: str, injected: InjectedFault) -> None:
        worker = self._stack.worker_name(name)
        injected.started_at = time.time()
        self._stack.kill_process(name)
        if worker:
            with suppress(QueueUnavailable):
                injected.held_tasks += await self._stack.queue.held(worker)

    async def _wait_until_busy(self, name: str) -> None:
        """Wait until the worker holds a task, for `_BUSY_TIMEOUT_S` at most."""
        for _ in range(round(_BUSY_TIMEOUT_S / 0.02)):
            with suppress(QueueUnavailable, psutil.Error):
                worker = self._stack.worker_name(name)
                if worker and await self._stack.queue.held(worker):
                    return
            await asyncio.sleep(0.02)


def _send_signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
