"""The limits of the real containers towards their host, each other and Redis."""

import shutil
import subprocess
from pathlib import Path

import pytest

from docker.stack import (
    CONTAINERS,
    SERVICES,
    Stack,
    clean_environment,
    compose_command,
    inspect,
    logs,
    run,
    wait_until_healthy,
)

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]  # the first test builds the images

ROOT = Path(__file__).parents[2]

every_container = pytest.mark.parametrize("service", CONTAINERS)


def run_inside(container: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a container; it may fail."""
    return subprocess.run(["docker", "exec", container, *command], capture_output=True, text=True, check=False)


@every_container
def test_container_has_no_privileges(stack: Stack, service: str) -> None:
    """A container's process is not root, has and gains no capability, and cannot write to its image."""
    (container,) = stack.containers(service)
    status = run("docker", "exec", container, "cat", "/proc/1/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert set(fields["Uid"].split()) == {str(stack.uid)} if service in SERVICES else "0" not in fields["Uid"].split()
    assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == 0
    assert fields["NoNewPrivs"] == "1"
    assert "Read-only file system" in run_inside(container, "touch", "/x").stderr


def test_file_in_the_temporary_folder_cannot_be_executed(stack: Stack) -> None:
    """A program that is copied to /tmp, the only writable folder outside the volume, cannot be executed."""
    (container,) = stack.containers("api")
    program = run_inside(container, "sh", "-c", "cp /bin/true /tmp/program && /tmp/program; rm /tmp/program")
    assert "Permission denied" in program.stderr


@every_container
def test_container_has_limited_memory_and_processes(stack: Stack, service: str) -> None:
    """The kernel enforces the compose file's limits of memory and processes on each container."""
    (container,) = stack.containers(service)
    limits = inspect(container)["HostConfig"]
    for limit, paths in {
        limits["Memory"]: "/sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes",
        limits["PidsLimit"]: "/sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max",
    }.items():
        effective = run_inside(container, "sh", "-c", f"cat {paths} 2>/dev/null").stdout
        assert int(effective) == limit > 0


def test_process_over_the_memory_limit_is_killed_alone(stack: Stack) -> None:
    """A process that exceeds the memory of a worker's container is killed, and the worker keeps running."""
    (container,) = stack.containers("llm-worker")
    process = run_inside(container, "python", "-c", "b'x' * 2**30")
    assert process.returncode == 137
    assert inspect(container)["State"]["Running"]
    assert inspect(container)["RestartCount"] == 0


def test_redis_refuses_before_the_kernel_kills_it(stack: Stack) -> None:
    """Redis has half of its container's memory as its limit, and evicts nothing."""
    (container,) = stack.containers("redis")
    command = 'REDISCLI_AUTH="$REDIS_PASSWORD" redis-cli config get "maxmemory*"'
    lines = run("docker", "exec", container, "sh", "-c", command).split()
    settings = dict(zip(lines[::2], lines[1::2], strict=True))
    assert int(settings["maxmemory"]) * 2 == inspect(container)["HostConfig"]["Memory"]
    assert settings["maxmemory-policy"] == "noeviction"


def test_redis_refuses_commands_without_the_password(stack: Stack) -> None:
    """A client on Redis's network that does not send REDIS_PASSWORD gets NOAUTH."""
    (container,) = stack.containers("api")
    program = (
        "import socket; s = socket.create_connection(('redis', 6379)); s.sendall(b'KEYS *\\r\\n'); print(s.recv(99))"
    )
    assert "NOAUTH" in run("docker", "exec", container, "python", "-c", program)


def test_redis_is_only_on_an_internal_network(stack: Stack) -> None:
    """Redis is on one network, which is internal, and publishes no port."""
    (container,) = stack.containers("redis")
    (network,) = inspect(container)["NetworkSettings"]["Networks"]
    assert run("docker", "network", "inspect", "--format", "{{.Internal}}", network).strip() == "true"
    assert not inspect(container)["HostConfig"]["PortBindings"]


def test_password_is_not_in_command_lines_or_logs(stack: Stack) -> None:
    """REDIS_PASSWORD is in the container's environment only: every user of the host can read its command lines."""
    (container,) = stack.containers("redis")
    password = dict(entry.split("=", 1) for entry in inspect(container)["Config"]["Env"])["REDIS_PASSWORD"]
    processes = run("docker", "top", container, "-eo", "pid,args")
    assert "redis-server" in processes
    assert password not in processes
    assert password not in logs(container)


def test_redis_needs_no_password(images: dict[str, str], tmp_path: Path) -> None:
    """Redis without any setting becomes healthy, and answers a client on its network."""
    shutil.copy(ROOT / "docker-compose.yml", tmp_path)
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in images.items()))
    compose = [*(compose_command() or []), "--project-name", "cascade-test-open"]
    try:
        run(*compose, "up", "--detach", "redis", folder=tmp_path)
        container = run(*compose, "ps", "--quiet", "redis", folder=tmp_path).strip()
        wait_until_healthy(container, 60)
        assert run_inside(container, "redis-cli", "ping").stdout == "PONG\n"
    finally:
        subprocess.run([*compose, "down", "--volumes"], cwd=tmp_path, env=clean_environment(), check=False)
