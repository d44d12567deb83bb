"""Redis with TLS and a password: clients that reach it, and the errors of those that may not."""

import asyncio
import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import trustme
from pydantic import SecretStr
from redis import Redis, RedisError

from cli.local_stack.ports import free_port
from shared.errors import QueueUnavailable, StartupError
from shared.queue.queue import Queue
from support.redis_server import redis_binaries
from support.services import ServiceProcesses, run_services
from support.wait import wait_until

pytestmark = pytest.mark.redis

#: Characters that have a meaning in a URL or a configuration file.
PASSWORD = 'p4ss/w@rd: #"\\1'


@dataclass(frozen=True)
class SecureRedis:
    """A server's port, and the folder with the certificates that a client may name."""

    port: int
    folder: Path

    def url(self, ca: str = "ca.pem", host: str = "127.0.0.1") -> str:
        return f"rediss://{host}:{self.port}/0?ssl_ca_certs={self.folder / ca}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureRedis]:
    """A server whose certificate is valid for 127.0.0.1 only."""
    binary = redis_binaries().get("path")
    if binary is None:
        pytest.skip("needs a redis-server on the PATH: the bundled one lacks TLS")
    folder, port = tmp_path_factory.mktemp("secure-redis"), free_port()
    authority = trustme.CA()
    own = authority.issue_cert("127.0.0.1")
    own.cert_chain_pems[0].write_to_path(folder / "own.pem")
    own.private_key_pem.write_to_path(folder / "own.key")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    trustme.CA().cert_pem.write_to_path(folder / "other.pem")
    tls = ["--tls-cert-file", "own.pem", "--tls-key-file", "own.key", "--tls-ca-cert-file", "ca.pem"]
    options = ["--port", "0", "--tls-port", str(port), *tls, "--tls-auth-clients", "no", "--bind", "127.0.0.1"]
    command = [binary, *options, "--appendonly", "yes", "--save", "", "--requirepass", PASSWORD]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    server = SecureRedis(port, folder)
    try:
        with Redis.from_url(server.url(), password=PASSWORD) as client:
            wait_until(client.ping, ignored=(RedisError,))
        yield server
    finally:
        process.kill()
        process.wait()


def test_job_completes_on_a_secured_redis(server: SecureRedis, tmp_path: Path) -> None:
    """Every service reaches a Redis with TLS and a password through REDIS_URL and REDIS_PASSWORD."""
    with run_services(server.url(), tmp_path / "volume", REDIS_PASSWORD=PASSWORD) as services:
        assert services.wait_until_ended(services.upload())["status"] == "completed"
    assert PASSWORD not in services.logs()


async def close(queue: Queue) -> None:
    """Close a queue, and wait for the event loop to close a refused connection: a loop that ends does not wait."""
    await queue.close()
    await asyncio.sleep(0.2)


@pytest.mark.parametrize(
    ("ca", "host", "password"),
    [
        pytest.param("other.pem", "127.0.0.1", PASSWORD, id="another authority"),
        pytest.param("missing.pem", "127.0.0.1", PASSWORD, id="no such file"),
        pytest.param("ca.pem", "localhost", PASSWORD, id="another host's certificate"),
        pytest.param("ca.pem", "127.0.0.1", "wrong", id="wrong password"),
        pytest.param("ca.pem", "127.0.0.1", None, id="no password"),
    ],
)
async def test_refused_connection_raises_queue_unavailable_at_once(
    server: SecureRedis, ca: str, host: str, password: str | None
) -> None:
    """A wrong certificate or password raises QueueUnavailable within 3 s, not an exception of the library."""
    queue = Queue.connect(server.url(ca, host), password=SecretStr(password) if password else None)
    started = time.monotonic()
    with pytest.raises(QueueUnavailable):
        await queue.ping()
    assert time.monotonic() - started < 3
    await close(queue)


async def test_redis_with_tls_refuses_a_plain_connection(server: SecureRedis) -> None:
    """A Redis that requires TLS refuses a connection by redis://."""
    queue = Queue.connect(f"redis://127.0.0.1:{server.port}/0", password=SecretStr(PASSWORD))
    with pytest.raises(QueueUnavailable):
        await queue.ping()
    await close(queue)


def first_response(services: ServiceProcesses, path: str) -> httpx.Response:
    """Return the API's response as soon as it listens."""
    return wait_until(
        lambda: services.client.get(path), poll_s=0.1, ignored=(httpx.ConnectError,), describe=services.logs
    )


@pytest.mark.parametrize(
    ("ca", "password", "reason"),
    [
        pytest.param("ca.pem", "wrong", "invalid username-password pair", id="wrong password"),
        pytest.param("other.pem", PASSWORD, "certificate verify failed", id="wrong certificate"),
    ],
)
def test_services_without_access_to_redis_log_the_reason_and_wait(
    server: SecureRedis, tmp_path: Path, ca: str, password: str, reason: str
) -> None:
    """The API answers 503, and a worker logs one line with the variable and the reason and keeps trying."""
    services = ServiceProcesses(server.url(ca), tmp_path / "volume", REDIS_PASSWORD=password)
    try:
        services.start("api", "llm")
        wait_until(lambda: "queue_unavailable" in services.logs(), poll_s=0.1, describe=services.logs)
        response = first_response(services, "/status/" + "0" * 32)
        assert (response.status_code, response.json()["code"]) == (503, "queue_unavailable")
        time.sleep(1)  # a few more tries
        assert services.processes["llm"].poll() is None
    finally:
        services.stop()
    [line] = services.log("llm").read_text().splitlines()
    entry = json.loads(line)
    assert "REDIS_URL" in entry["message"]
    assert reason in entry["reason"]
    assert PASSWORD not in services.logs()


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("rediss://127.0.0.1:1/0?ssl_cert_reqs=some", id="unknown check"),
        pytest.param("redis://127.0.0.1:1/0?certificate=ca.pem", id="unknown option"),
        pytest.param("unix:///tmp/redis.sock", id="no network address"),
    ],
)
def test_invalid_address_is_a_startup_error(url: str) -> None:
    """An address that is no Redis URL raises a StartupError that names REDIS_URL."""
    with pytest.raises(StartupError, match="REDIS_URL"):
        Queue.connect(url)
