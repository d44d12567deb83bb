"""An API on a public network: slow senders, missing keys, rate limits, and forged log lines."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from support.redis_server import RedisServer
from support.services import QUESTION, ServiceProcesses
from support.wait import wait_until

pytestmark = pytest.mark.redis

KEY = "a-key-for-the-tests"
UPLOAD = b"POST /transcribe HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=l\r\n"
FORM = b'--l\r\nContent-Disposition: form-data; name="audio_file"\r\n\r\nRIFF\0\0\0\0WAVE'

#: The first bytes of each slow connection, and the number of such connections.
SLOW_SENDERS = {
    "bodies and heads": {
        UPLOAD + b"Content-Length: 900000\r\n\r\n" + FORM: 200,
        b"GET /status/x HTTP/1.1\r\nHost: a\r\nX-Slow: ": 200,
    },
    "silent bodies": {UPLOAD + b"Content-Length: 900000\r\n\r\n": 200},
    "refused bodies": {UPLOAD + b"Content-Length: 90000000\r\n\r\n": 200},
    "nothing at all": {b"": 400},
}


@pytest.fixture
def exposed(redis_for_all: RedisServer, tmp_path: Path) -> Iterator[Callable[..., ServiceProcesses]]:
    """A function that starts an API without workers."""
    with ExitStack() as exits:

        def start(**settings: str) -> ServiceProcesses:
            services = ServiceProcesses(redis_for_all.url, tmp_path / "volume", **settings)
            exits.callback(services.stop)
            services.start("api")
            wait_until(lambda: accepts_connections(services), 30, describe=services.logs)
            return services

        yield start


def address(services: ServiceProcesses) -> tuple[str, int]:
    return "127.0.0.1", int(services.url.rpartition(":")[2])


def accepts_connections(services: ServiceProcesses) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(address(services)) == 0


@contextmanager
def slow_senders(services: ServiceProcesses, openings: dict[bytes, int]) -> Iterator[None]:
    """Open connections that each send an opening, and then a byte every 0.3 s if the opening is not empty."""
    with ExitStack() as exits:
        trickling = []
        for opening, count in openings.items():
            for _ in range(count):
                connection = exits.enter_context(socket.create_connection(address(services)))
                connection.sendall(opening)
                if opening:
                    trickling.append(connection)
        stopped = threading.Event()

        def trickle() -> None:
            while not stopped.wait(0.3):
                for connection in trickling:
                    with suppress(OSError):  # the API may have closed it
                        connection.send(b"a")

        thread = threading.Thread(target=trickle)
        thread.start()
        yield
        stopped.set()
        thread.join()


@pytest.mark.parametrize("case", SLOW_SENDERS)
def test_slow_senders_do_not_delay_uploads(exposed: Callable[..., ServiceProcesses], case: str) -> None:
    """While hundreds of connections trickle, an upload is accepted within 5 s; the slow uploads leave no file."""
    services = exposed(RATE_LIMIT="off")
    took_s = []
    with slow_senders(services, SLOW_SENDERS[case]):
        for _ in range(6):
            started_at = time.monotonic()
            services.upload()
            took_s.append(time.monotonic() - started_at)
            time.sleep(0.4)
    durations = ", ".join(f"{seconds:.3f}" for seconds in took_s)
    print(f"\nwith 200 and more slow senders ({case}), an upload took {durations} s")
    assert max(took_s) < 5
    wait_until(lambda: len(services.files()) <= 6, 10, describe=services.files)
    assert len(services.files()) == 6


def test_300_waiting_clients_all_receive_the_end_of_a_job(exposed: Callable[..., ServiceProcesses]) -> None:
    """Each of 300 clients that wait for the same job gets its status when the job ends."""
    services = exposed()
    job_id = services.upload()
    with httpx.Client(limits=httpx.Limits(), timeout=90) as client, ThreadPoolExecutor(300) as pool:
        requests = [pool.submit(client.get, f"{services.url}/status/{job_id}?wait=60") for _ in range(300)]
        time.sleep(3)
        services.client.delete(f"/jobs/{job_id}")
        responses = [request.result() for request in requests]
    assert {(response.status_code, response.json().get("status")) for response in responses} == {(200, "cancelled")}


def test_client_without_a_key_reaches_only_the_probes(exposed: Callable[..., ServiceProcesses]) -> None:
    """A request with a key in any of the accepted headers is served, one without gets 401, and no key is logged."""
    services = exposed(API_KEYS=f"{KEY}-one,{KEY}-two")
    with QUESTION.open("rb") as recording:
        for credentials in ({}, {"X-API-Key": KEY}, {"Authorization": "Basic Zm9vOmJhcg=="}):
            response = services.client.post("/transcribe", files={"audio_file": recording}, headers=credentials)
            assert (response.status_code, response.json()["code"]) == (401, "unauthorized")
    assert services.client.get("/healthz").status_code == 200
    assert services.files() == []
    services.client.auth = ("any-user", f"{KEY}-two")
    job_id = services.upload()
    services.client.auth = None
    headers = {"Authorization": f"Bearer {KEY}-one"}
    assert services.client.get(f"/status/{job_id}", headers=headers).json()["status"] == "pending"
    assert services.client.get(f"/status/{job_id}").status_code == 401
    assert KEY not in services.logs()


@pytest.mark.parametrize(("trusted", "statuses"), [("127.0.0.1", [202, 202, 429]), ("192.0.2.1", [202, 429, 429])])
def test_rate_limit_counts_by_the_address_that_a_trusted_proxy_sends(
    exposed: Callable[..., ServiceProcesses], trusted: str, statuses: list[int]
) -> None:
    """A client's X-Forwarded-For counts if it comes through TRUSTED_PROXIES, and is ignored otherwise."""
    services = exposed(RATE_LIMIT="1/minute", TRUSTED_PROXIES=trusted)
    for client_address, status in zip(["198.51.100.1", "198.51.100.2", "198.51.100.1"], statuses, strict=True):
        with QUESTION.open("rb") as recording:
            headers = {"X-Forwarded-For": f"203.0.113.99, {client_address}"}
            response = services.client.post("/transcribe", files={"audio_file": recording}, headers=headers)
        assert response.status_code == status


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("API_KEYS", "too-short"),
        ("API_KEYS", ","),
        ("RATE_LIMIT", "often"),
        ("RATE_LIMIT", "1000/second;5/minute"),
        ("CORS_ORIGINS", "example.org"),
        ("MAX_UPLOADS", "0"),
        ("API_DOCS", "perhaps"),
    ],
)
def test_api_does_not_start_with_an_invalid_limit(tmp_path: Path, setting: str, value: str) -> None:
    """An API whose protection is set wrongly exits with 2, and logs the setting but not a secret."""
    services = ServiceProcesses("redis://127.0.0.1:1/0", tmp_path / "volume", **{setting: value})
    services.start("api")
    assert services.processes.pop("api").wait(60) == 2
    (line,) = (tmp_path / "api.log").read_text().splitlines()
    entry = json.loads(line)
    assert (entry["event"], entry["level"]) == ("setting_invalid", "error")
    assert entry["message"].startswith(f"{setting}: ")
    assert "too-short" not in line


def test_no_request_can_forge_a_log_line(exposed: Callable[..., ServiceProcesses]) -> None:
    """Each line of the log stays one JSON object of the API's, whatever bytes a request contains."""
    services = exposed()
    forged = b'\\u000a{"event":"forged"}%0a%0d\x85\xe2\x80\xa8\xff'
    for request in (
        b"GET /" + forged + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /status/" + forged + b" HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: " + forged + b"\r\n\r\n",
        UPLOAD + b"Idempotency-Key: " + forged + b"\r\nContent-Length: 9\r\n\r\n" + forged[:9],
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: " + forged + b"\r\n\r\n",
        forged + b"\r\n\r\n",
    ):
        with socket.create_connection(address(services), timeout=10) as connection:
            connection.sendall(request)
            assert connection.recv(1000).startswith(b"HTTP/1.1 ")
    services.upload()
    lines = (services.data_dir.parent / "api.log").read_text().splitlines()
    assert "job_accepted" in [json.loads(line)["event"] for line in lines]
    assert "forged" not in [json.loads(line)["event"] for line in lines]
