"""A Redis that speaks TLS and asks for a password: who reaches it, and what the others are told."""

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

from shared.errors import QueueUnavailable, StartupError
from shared.queue.queue import Queue
from support.redis_server import free_port, redis_binaries
from support.services import ServiceProcesses

pytestmark = pytest.mark.redis

#: What a URL or a configuration file would take for something else.
PASSWORD = 'p4ss/w@rd: #"\\1'


@dataclass(frozen=True)
class SecureRedis:
    """A server, and where the certificates lie that a client may name."""

    port: int
    folder: Path

    def url(self, ca: str = "ca.pem", host: str = "127.0.0.1") -> str:
        return f"rediss://{host}:{self.port}/0?ssl_ca_certs={self.folder / ca}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureRedis]:
    """Its certificate is for 127.0.0.1 alone."""
    binary = redis_binaries().get("path")
    if binary is None:
        pytest.skip("needs a redis-server on the PATH: the carried one knows no TLS")
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
        wait_for(server)
        yield server
    finally:
        process.kill()
        process.wait()


def wait_for(server: SecureRedis) -> None:
    deadline = time.monotonic() + 20
    with Redis.from_url(server.url(), password=PASSWORD) as client:
        while True:
            try:
                client.ping()
                return
            except RedisError:
                assert time.monotonic() < deadline, "it did not start"
                time.sleep(0.02)


def test_a_job_goes_through_a_secure_redis(server: SecureRedis, tmp_path: Path) -> None:
    """All services reach it with REDIS_URL and REDIS_PASSWORD."""
    (tmp_path / "volume").mkdir()
    services = ServiceProcesses(server.url(), tmp_path / "volume", REDIS_PASSWORD=PASSWORD)
    try:
        services.start()
        services.wait_until_ready()
        assert services.ended(services.upload())["status"] == "completed"
    finally:
        services.stop()
    assert PASSWORD not in services.logs()


async def hung_up(queue: Queue) -> None:
    """The loop closes a connection that was refused in its own time, which a loop that ends does not take."""
    await queue.close()
    await asyncio.sleep(0.2)


@pytest.mark.parametrize(
    ("ca", "host", "password"),
    [
        pytest.param("other.pem", "127.0.0.1", PASSWORD, id="signed by somebody else"),
        pytest.param("missing.pem", "127.0.0.1", PASSWORD, id="no such file"),
        pytest.param("ca.pem", "localhost", PASSWORD, id="another host's certificate"),
        pytest.param("ca.pem", "127.0.0.1", "wrong", id="wrong password"),
        pytest.param("ca.pem", "127.0.0.1", None, id="no password"),
    ],
)
async def test_who_may_not_reach_redis_is_told_at_once(
    server: SecureRedis, ca: str, host: str, password: str | None
) -> None:
    """A wrong certificate or password is a queue that cannot be reached: no hang, no library's error."""
    queue = Queue.connect(server.url(ca, host), password=SecretStr(password) if password else None)
    started = time.monotonic()
    with pytest.raises(QueueUnavailable):
        await queue.ping()
    assert time.monotonic() - started < 3
    await hung_up(queue)


async def test_redis_is_never_spoken_to_in_clear(server: SecureRedis) -> None:
    """A server that wants TLS refuses who forgot the second s of rediss://."""
    queue = Queue.connect(f"redis://127.0.0.1:{server.port}/0", password=SecretStr(PASSWORD))
    with pytest.raises(QueueUnavailable):
        await queue.ping()
    await hung_up(queue)


def first_answer(services: ServiceProcesses, path: str) -> httpx.Response:
    """What the API says once it listens."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return services.client.get(path)
        except httpx.ConnectError:
            assert time.monotonic() < deadline, services.logs()
            time.sleep(0.1)


@pytest.mark.parametrize(
    ("ca", "password", "reason"),
    [
        pytest.param("ca.pem", "wrong", "invalid username-password pair", id="wrong password"),
        pytest.param("other.pem", PASSWORD, "certificate verify failed", id="wrong certificate"),
    ],
)
def test_services_that_may_not_reach_redis_say_why_and_wait(
    server: SecureRedis, tmp_path: Path, ca: str, password: str, reason: str
) -> None:
    """The API answers 503; a worker writes one line with the variable and the reason, and goes on trying."""
    (tmp_path / "volume").mkdir()
    services = ServiceProcesses(server.url(ca), tmp_path / "volume", REDIS_PASSWORD=password)
    try:
        services.start("api", "llm")
        deadline = time.monotonic() + 20
        while "queue_unavailable" not in services.logs():
            assert time.monotonic() < deadline, services.logs()
            time.sleep(0.1)
        answer = first_answer(services, "/status/" + "0" * 32)
        assert (answer.status_code, answer.json()["code"]) == (503, "queue_unavailable")
        time.sleep(1)  # some more tries
        assert services.processes["llm"].poll() is None
    finally:
        services.stop()
    [line] = services.log("llm").read_text().splitlines()
    told = json.loads(line)
    assert "REDIS_URL" in told["message"]
    assert reason in told["reason"]
    assert PASSWORD not in services.logs()


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("rediss://127.0.0.1:1/0?ssl_cert_reqs=some", id="no such way to check"),
        pytest.param("redis://127.0.0.1:1/0?certificate=ca.pem", id="no such option"),
        pytest.param("unix:///tmp/redis.sock", id="no network address"),
    ],
)
def test_an_address_that_cannot_be_right_is_told_at_the_start(url: str) -> None:
    """What no waiting mends ends the process with the variable's name."""
    with pytest.raises(StartupError, match="REDIS_URL"):
        Queue.connect(url)
