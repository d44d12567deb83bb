"""The stack without Docker: Redis, the API and the three workers under one supervisor, started and stopped together."""

import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

import httpx
from supervisor.xmlrpc import SupervisorTransport

from cli.errors import CommandError
from cli.local_stack.config_files import redis_config, supervisor_config, write_secret
from cli.local_stack.log_relay import LogRelay
from cli.local_stack.ports import free_port, is_free
from cli.local_stack.redis_server import find_redis
from cli.local_stack.running_stack import Stack
from cli.settings import stack_environment

#: A model that is downloaded on the first start takes minutes.
_READY_TIMEOUT_S = 900

_POLL_S = 0.2

_DEFAULT_API_PORT = 8000


@contextmanager
def start_stack(data_dir: Path, port: int | None, *, log: int | None = None) -> Iterator[Stack]:
    """Start all processes, wait until each stage is ready, and stop them when the block ends.

    `port` None takes 8000 or, where that is taken, a free one. `log` is a file descriptor for the processes' log, one
    JSON object a line; without it standard error.

    Raises:
        CommandError: Redis is missing, the port is taken, or a process cannot start.
    """
    redis = find_redis()
    api_port = _choose_api_port(port)
    redis_port = free_port()
    redis_password = secrets.token_hex(16)
    redis_dir = data_dir.resolve() / f"redis-{redis.major}"  # an older server cannot read a newer one's file
    redis_dir.mkdir(parents=True, exist_ok=True)
    environment = stack_environment() | {
        "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
        "REDIS_PASSWORD": redis_password,
        "DATA_DIR": str(data_dir),
        "API_PORT": str(api_port),
    }
    with tempfile.TemporaryDirectory(prefix="cascade-") as folder:
        runtime = Path(folder)
        redis_file = runtime / "redis.conf"
        write_secret(redis_file, redis_config(redis_port, redis_password, redis_dir))
        commands = {
            "redis": f"{redis.path} {redis_file}",
            "api": f"{sys.executable} -m api",
            "stt-worker": f"{sys.executable} -m stt_worker",
            "llm-worker": f"{sys.executable} -m llm_worker",
            "tts-worker": f"{sys.executable} -m tts_worker",
        }
        with LogRelay(runtime, [*commands, "supervisor"], sys.stderr.fileno() if log is None else log) as relay:
            password = secrets.token_hex(16)
            socket = runtime / "control"
            supervisor_file = runtime / "supervisord.conf"
            logs = {name: relay.path(name) for name in commands}
            write_secret(supervisor_file, supervisor_config(runtime, socket, password, commands, logs))
            supervisor = _start_supervisor(supervisor_file, environment, relay.path("supervisor"))
            try:
                stack = Stack(f"http://127.0.0.1:{api_port}", data_dir)
                _wait_until_ready(stack, supervisor, SupervisorTransport("cascade", password, f"unix://{socket}"))
                yield stack
            finally:
                supervisor.terminate()
                supervisor.wait()


def _choose_api_port(port: int | None) -> int:
    if port is None:
        return _DEFAULT_API_PORT if is_free(_DEFAULT_API_PORT) else free_port()
    if not is_free(port):
        raise CommandError(f"Port {port} is taken. Choose another with --port, or leave it out to get a free one.")
    return port


def _start_supervisor(config: Path, environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(config)]
    with log.open("wb", buffering=0) as output:
        return subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)


def _wait_until_ready(stack: Stack, supervisor: subprocess.Popen[bytes], transport: Any) -> None:
    deadline = time.monotonic() + _READY_TIMEOUT_S
    while time.monotonic() < deadline:
        if supervisor.poll() is not None:
            raise CommandError("The stack stopped while it was starting. See its log for the reason.")
        _raise_if_process_ended(transport)
        try:
            if httpx.get(f"{stack.url}/readyz", timeout=2).status_code == 200:
                return
        except httpx.HTTPError:
            pass  # the API does not listen yet
        time.sleep(_POLL_S)
    raise CommandError("The stack did not become ready in time. See its log for the reason.")


def _raise_if_process_ended(transport: Any) -> None:
    # Whatever the reason: a process that crashes at every start would otherwise be restarted forever.
    try:
        processes: Any = ServerProxy("http://localhost", transport).supervisor.getAllProcessInfo()
    except (OSError, Fault):
        transport.close()  # else the broken connection is used again
        return  # the supervisor does not listen yet
    ended = [process["name"] for process in processes if process["stop"] or process["statename"] == "FATAL"]
    if ended:
        raise CommandError(f"{', '.join(ended)} could not start. See its last lines in the log for the reason.")
