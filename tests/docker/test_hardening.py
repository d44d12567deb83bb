"""The limits of the real containers: on their host, on each other and on Redis."""

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from docker.stack import CONTAINERS, SERVICES, Stack, clean_environment, compose_command, inspect, run

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]  # the first test builds the images

ROOT = Path(__file__).parents[2]

every_container = pytest.mark.parametrize("service", CONTAINERS)


def attempt(container: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command inside a container, which may fail."""
    return subprocess.run(["docker", "exec", container, *command], capture_output=True, text=True, check=False)


@every_container
def test_a_container_has_no_rights(stack: Stack, service: str) -> None:
    """Its process is not root, has no capability, gains none, and cannot write to its image."""
    (container,) = stack.containers(service)
    status = run("docker", "exec", container, "cat", "/proc/1/status")
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert set(facts["Uid"].split()) == {str(stack.uid)} if service in SERVICES else "0" not in facts["Uid"].split()
    assert int(facts["CapEff"], 16) == int(facts["CapBnd"], 16) == 0
    assert facts["NoNewPrivs"] == "1"
    assert "Read-only file system" in attempt(container, "touch", "/x").stderr


def test_what_is_brought_into_a_container_cannot_be_run(stack: Stack) -> None:
    """The one folder that is not on the volume holds no program."""
    (container,) = stack.containers("api")
    program = attempt(container, "sh", "-c", "cp /bin/true /tmp/program && /tmp/program; rm /tmp/program")
    assert "Permission denied" in program.stderr


@every_container
def test_a_container_cannot_take_the_hosts_memory_or_processes(stack: Stack, service: str) -> None:
    """The kernel holds it to what the compose file says."""
    (container,) = stack.containers(service)
    limits = inspect(container)["HostConfig"]
    for limit, paths in {
        limits["Memory"]: "/sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes",
        limits["PidsLimit"]: "/sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max",
    }.items():
        in_force = attempt(container, "sh", "-c", f"cat {paths} 2>/dev/null").stdout
        assert int(in_force) == limit > 0


def test_what_takes_too_much_memory_ends_alone(stack: Stack) -> None:
    """A greedy process in a worker's container is killed, and the worker stays."""
    (container,) = stack.containers("llm-worker")
    greedy = attempt(container, "python", "-c", "b'x' * 2**30")
    assert greedy.returncode == 137
    assert inspect(container)["State"]["Running"]
    assert inspect(container)["RestartCount"] == 0


def test_redis_refuses_before_the_kernel_kills_it(stack: Stack) -> None:
    """Its limit is half of the container's, and it evicts nothing."""
    (container,) = stack.containers("redis")
    asked = 'REDISCLI_AUTH="$REDIS_PASSWORD" redis-cli config get "maxmemory*"'
    words = run("docker", "exec", container, "sh", "-c", asked).split()
    settings = dict(zip(words[::2], words[1::2], strict=True))
    assert int(settings["maxmemory"]) * 2 == inspect(container)["HostConfig"]["Memory"]
    assert settings["maxmemory-policy"] == "noeviction"


def test_redis_refuses_a_client_without_its_password(stack: Stack) -> None:
    """A process on the network that does not know REDIS_PASSWORD gets no answer from Redis."""
    (container,) = stack.containers("api")
    ask = "import socket; s = socket.create_connection(('redis', 6379)); s.sendall(b'KEYS *\\r\\n'); print(s.recv(99))"
    assert "NOAUTH" in run("docker", "exec", container, "python", "-c", ask)


def test_redis_cannot_be_reached_from_outside(stack: Stack) -> None:
    """Redis is on one network only, which is internal, and none of its ports is published."""
    (container,) = stack.containers("redis")
    (network,) = inspect(container)["NetworkSettings"]["Networks"]
    assert run("docker", "network", "inspect", "--format", "{{.Internal}}", network).strip() == "true"
    assert not inspect(container)["HostConfig"]["PortBindings"]


def test_no_list_of_processes_shows_the_password(stack: Stack) -> None:
    """On the host anybody may read the command lines of what runs in the containers, but not their environment."""
    (container,) = stack.containers("redis")
    password = dict(entry.split("=", 1) for entry in inspect(container)["Config"]["Env"])["REDIS_PASSWORD"]
    shown = run("docker", "top", container, "-eo", "pid,args")
    assert "redis-server" in shown
    assert password not in shown
    assert password not in stack.logs(container)


def test_redis_needs_no_password(images: dict[str, str], tmp_path: Path) -> None:
    """Without any setting it starts, is healthy, and answers who is on its network."""
    shutil.copy(ROOT / "docker-compose.yml", tmp_path)
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in images.items()))
    compose = [*(compose_command() or []), "--project-name", "cascade-test-open"]
    try:
        run(*compose, "up", "--detach", "redis", folder=tmp_path)
        container = run(*compose, "ps", "--quiet", "redis", folder=tmp_path).strip()
        deadline = time.monotonic() + 60
        while inspect(container)["State"]["Health"]["Status"] != "healthy":
            assert time.monotonic() < deadline, inspect(container)["State"]["Health"]
            time.sleep(0.5)
        assert attempt(container, "redis-cli", "ping").stdout == "PONG\n"
    finally:
        subprocess.run([*compose, "down", "--volumes"], cwd=tmp_path, env=clean_environment(), check=False)
