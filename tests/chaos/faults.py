"""The faults, one function for each kind of `schedule.KINDS`."""

import asyncio
import os
import random
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from chaos.load import Load
from chaos.schedule import Fault
from chaos.stack import Stack
from shared.errors import QueueUnavailable

#: The share of requests whose reply is lost while replies are.
_LOSS = 0.2

#: A kill of a worker waits so long for it to have something in its hands: what is killed idle proves little.
_UNTIL_BUSY_S = 1.5


@dataclass
class Injected:
    """A fault that has been carried out."""

    fault: Fault
    begun: float = 0.0
    ended: float = 0.0
    """Seconds since the epoch, as Redis stamps events."""
    robbed: list[str] = field(default_factory=list)
    """The tasks that a killed worker had in its hands."""


class Faults:
    """Does harm to the stack, and puts it right again."""

    def __init__(self, stack: Stack, load: Load) -> None:
        self.injected: list[Injected] = []
        self._stack, self._load = stack, load

    async def inject(self, fault: Fault) -> None:
        """Wait for the fault's time, carry it out, and wait for its end."""
        await asyncio.sleep(fault.at_s)
        done = Injected(fault)
        self.injected.append(done)
        await getattr(self, fault.kind)(done)
        done.ended = time.time()

    async def kill_worker(self, done: Injected) -> None:
        async with self._stack.locks[done.fault.target]:
            await self._until_busy(done.fault.target)
            await self._kill_worker(done.fault.target, done)
            await asyncio.sleep(done.fault.for_s)
            self._stack.begin(done.fault.target)

    async def kill_both_workers(self, done: Injected) -> None:
        names = done.fault.target, f"{done.fault.target}-2"
        async with self._stack.locks[names[0]], self._stack.locks[names[1]]:
            await self._until_busy(names[0])
            for name in names:
                await self._kill_worker(name, done)
            await asyncio.sleep(done.fault.for_s)
            for name in names:
                self._stack.begin(name)

    async def pause_worker(self, done: Injected) -> None:
        """With its engine, as a container is paused, or without."""
        async with self._stack.locks[done.fault.target]:
            await self._until_busy(done.fault.target)
            done.begun = time.time()
            pids = self._stack.pids(done.fault.target)
            try:
                for pid in pids if random.random() < 0.5 else pids[:1]:
                    _signal(pid, signal.SIGSTOP)
                await asyncio.sleep(done.fault.for_s)
            finally:
                for pid in pids:
                    _signal(pid, signal.SIGCONT)

    async def terminate_worker(self, done: Injected) -> None:
        """As an operator does; it must end in good order, unless it was still loading its engine."""
        name = done.fault.target
        async with self._stack.locks[name]:
            await self._until_busy(name)
            done.begun, ready = time.time(), self._stack.worker_name(name) is not None
            process = self._stack.services.processes.pop(name)
            process.terminate()
            code = await asyncio.to_thread(process.wait, 40)
            if code != 0 and (ready or code != -signal.SIGTERM):
                self._stack.died(name, code)
            await asyncio.sleep(done.fault.for_s)
            self._stack.begin(name)

    async def kill_api(self, done: Injected) -> None:
        async with self._stack.locks["api"]:
            await self._restart_api(done)

    async def kill_api_amid_upload(self, done: Injected) -> None:
        """When a client has sent all of its recording, and has no answer yet."""
        async with self._stack.locks["api"]:
            sent = asyncio.Event()
            self._load.on_body_sent = sent.set
            with suppress(TimeoutError):
                await asyncio.wait_for(sent.wait(), 5)
            await asyncio.sleep(random.uniform(0, 0.02))
            await self._restart_api(done)

    async def kill_redis(self, done: Injected) -> None:
        async with self._stack.locks["redis"]:
            done.begun = time.time()
            self._stack.redis.kill()
            await asyncio.sleep(done.fault.for_s)
            await asyncio.to_thread(self._stack.redis.start)

    async def refuse_redis(self, done: Injected) -> None:
        async with self._stack.locks["redis"]:
            done.begun = time.time()
            self._stack.proxy.refuse()
            await asyncio.sleep(done.fault.for_s)
            self._stack.proxy.accept()

    async def silence_redis(self, done: Injected) -> None:
        async with self._stack.locks["redis"]:
            done.begun = time.time()
            self._stack.proxy.hold()
            await asyncio.sleep(done.fault.for_s)
            self._stack.proxy.let_go()

    async def lose_replies(self, done: Injected) -> None:
        async with self._stack.locks["redis"]:
            done.begun = time.time()
            self._stack.proxy.loss = _LOSS
            await asyncio.sleep(done.fault.for_s)
            self._stack.proxy.loss = 0.0

    async def starve_redis(self, done: Injected) -> None:
        async with self._stack.locks["redis"]:
            done.begun = time.time()
            client = self._stack.queue.client
            await client.command("config_set", "maxmemory", "1mb")
            await asyncio.sleep(done.fault.for_s)
            await client.command("config_set", "maxmemory", "0")

    async def flush_scripts(self, done: Injected) -> None:
        async with self._stack.locks["redis"]:
            done.begun = time.time()
            await self._stack.queue.client.command("script_flush")

    async def fill_disk(self, done: Injected) -> None:
        async with self._stack.locks["volume"]:
            done.begun = time.time()
            try:
                for _ in range(round(done.fault.for_s / 0.1)):
                    self._stack.disk.fill()  # again: whoever gave up has left room
                    await asyncio.sleep(0.1)
            finally:
                self._stack.disk.empty()

    async def _restart_api(self, done: Injected) -> None:
        done.begun = time.time()
        self._stack.end("api")
        await asyncio.sleep(done.fault.for_s)
        self._stack.begin("api")

    async def _kill_worker(self, name: str, done: Injected) -> None:
        worker = self._stack.worker_name(name)
        done.begun = time.time()
        self._stack.end(name)
        if worker:
            with suppress(QueueUnavailable):
                done.robbed += await self._stack.queue.held(worker)

    async def _until_busy(self, name: str) -> None:
        for _ in range(round(_UNTIL_BUSY_S / 0.02)):
            with suppress(QueueUnavailable, psutil.Error):
                worker = self._stack.worker_name(name)
                if worker and await self._stack.queue.held(worker):
                    return
            await asyncio.sleep(0.02)


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
