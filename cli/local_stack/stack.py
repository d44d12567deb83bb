"""The stack without Docker: Redis, the API and the three workers under one supervisor, started and stopped together."""

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

import httpx
from supervisor.xmlrpc import SupervisorTransport

from cli.errors import CommandError
from cli.local_stack.log_relay import LogRelay
from cli.local_stack.ports import free_port, is_free
from cli.local_stack.redis_server import find_redis
from cli.settings import stack_environment

#: A model that is fetched on the first start takes minutes.
_READY_WITHIN_S = 900

#: Longer than a worker's own grace period, so that nobody is killed who is finishing.
_STOP_WAIT_S = 30

_SUPERVISOR = """\
[supervisord]
nodaemon = true
logfile = /dev/null
logfile_maxbytes = 0
loglevel = warn
pidfile = {runtime}/supervisord.pid
{user}
[unix_http_server]
file = {runtime}/control
chmod = 0700
username = cascade
password = {password}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""

# A process that was told to stop (0), or that says what to set otherwise (2), is not started again; any other is.
_PROGRAM = """
[program:{name}]
command = {command}
priority = {priority}
startsecs = 0
autorestart = unexpected
exitcodes = 0,2
stopwaitsecs = {stop_wait}
stdout_logfile = {log}
stdout_logfile_maxbytes = 0
redirect_stderr = true
"""

# Other users of the machine reach its ports, too.
_REDIS = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir {folder}
appendonly yes
save ""
maxmemory-policy noeviction
loglevel warning
"""


@dataclass(frozen=True)
class Stack:
    """A running stack."""

    url: str
    data_dir: Path


@contextmanager
def running_stack(data_dir: Path, port: int | None, *, log: int | None = None) -> Iterator[Stack]:
    """Start everything, wait until each stage is warm, and stop everything when the block is left.

    `port` None takes 8000 or, where that is taken, a free one. `log` is a file descriptor for the processes' log, one
    JSON object a line; without it standard error.

    Raises:
        CommandError: Redis is missing, the port is taken, or a process cannot start.
    """
    redis = find_redis()
    api_port, redis_port = _api_port(port), free_port()
    redis_dir = data_dir.resolve() / f"redis-{redis.major}"  # an older server cannot read a newer one's file
    redis_dir.mkdir(parents=True, exist_ok=True)
    python = sys.executable
    redis_password = secrets.token_hex(16)
    environment = stack_environment() | {
        "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
        "REDIS_PASSWORD": redis_password,
        "DATA_DIR": str(data_dir),
        "API_PORT": str(api_port),
    }
    with tempfile.TemporaryDirectory(prefix="cascade-") as runtime:
        redis_config, config = Path(runtime) / "redis.conf", Path(runtime) / "supervisord.conf"
        folder = json.dumps(str(redis_dir), ensure_ascii=False)  # Redis quotes as JSON does
        _write_secret(redis_config, _REDIS.format(port=redis_port, password=redis_password, folder=folder))
        programs = {
            "redis": f"{redis.path} {redis_config}",
            "api": f"{python} -m api",
            "stt-worker": f"{python} -m stt_worker",
            "llm-worker": f"{python} -m llm_worker",
            "tts-worker": f"{python} -m tts_worker",
        }
        password = secrets.token_hex(16)
        with LogRelay(Path(runtime), [*programs, "supervisor"], sys.stderr.fileno() if log is None else log) as relay:
            _write_secret(config, _configuration(runtime, password, programs, relay))
            command = [python, "-m", "supervisor.supervisord", "-c", str(config)]
            with relay.path("supervisor").open("wb", buffering=0) as own:
                supervisor = subprocess.Popen(command, env=environment, stdout=own, stderr=own, start_new_session=True)
            try:
                stack = Stack(f"http://127.0.0.1:{api_port}", data_dir)
                transport = SupervisorTransport("cascade", password, f"unix://{runtime}/control")
                _wait_until_ready(stack, supervisor, transport)
                yield stack
            finally:
                supervisor.terminate()
                supervisor.wait()


def _write_secret(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def _configuration(runtime: str, password: str, programs: dict[str, str], relay: LogRelay) -> str:
    # Redis starts first and, since stopping goes the other way round, ends last: workers hand back to it what they
    # hold. The others are one group, so that they are told to stop at the same time.
    user = "user = root" if os.geteuid() == 0 else ""
    parts = [_SUPERVISOR.format(runtime=runtime, password=password, user=user)]
    for name, command in programs.items():
        priority = 1 if name == "redis" else 2
        escaped = command.replace("%", "%%")
        log = relay.path(name)
        parts.append(_PROGRAM.format(name=name, command=escaped, priority=priority, stop_wait=_STOP_WAIT_S, log=log))
    services = ",".join(name for name in programs if name != "redis")
    parts.append(f"\n[group:services]\nprograms = {services}\npriority = 2\n")
    return "".join(parts)


def _api_port(port: int | None) -> int:
    if port is None:
        return 8000 if is_free(8000) else free_port()
    if not is_free(port):
        raise CommandError(f"Port {port} is taken. Choose another with --port, or leave it out to get a free one.")
    return port


def _wait_until_ready(stack: Stack, supervisor: subprocess.Popen[bytes], transport: Any) -> None:
    deadline = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < deadline:
        if supervisor.poll() is not None:
            raise CommandError("The stack ended while it was starting. Its log says why.")
        _raise_if_one_ended(transport)
        try:
            if httpx.get(f"{stack.url}/readyz", timeout=2).status_code == 200:
                return
        except httpx.HTTPError:
            pass  # the API is not up yet
        time.sleep(0.2)
    raise CommandError("The stack did not become ready in time. Its log says why.")


def _raise_if_one_ended(transport: Any) -> None:
    # For whatever reason: one that crashes whenever it starts would be started again and again.
    try:
        processes: Any = ServerProxy("http://localhost", transport).supervisor.getAllProcessInfo()
    except (OSError, Fault):
        transport.close()  # else it goes on with a connection that has failed
        return  # the supervisor itself is not up yet
    ended = [process["name"] for process in processes if process["stop"] or process["statename"] == "FATAL"]
    if ended:
        raise CommandError(f"{', '.join(ended)} could not start. Its last lines in the log say why.")
