"""A service that strangers can reach: slow senders, missing keys, and what the log holds of it all."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from support.redis_server import RedisServer
from support.services import QUESTION, ServiceProcesses

pytestmark = pytest.mark.redis

KEY = "a-key-for-the-tests"
UPLOAD = b"POST /transcribe HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=l\r\n"
FORM = b'--l\r\nContent-Disposition: form-data; name="audio_file"\r\n\r\nRIFF\0\0\0\0WAVE'

SLOW = {
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
    """Starts an API without workers."""
    with ExitStack() as running:

        def start(**settings: str) -> ServiceProcesses:
            (tmp_path / "volume").mkdir()
            services = ServiceProcesses(redis_for_all.url, tmp_path / "volume", **settings)
            running.callback(services.stop)
            services.start("api")
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                with socket.socket() as probe:
                    if probe.connect_ex(address(services)) == 0:
                        return services
                time.sleep(0.05)
            raise AssertionError(services.logs())

        yield start


def address(services: ServiceProcesses) -> tuple[str, int]:
    return "127.0.0.1", int(services.url.rpartition(":")[2])


@contextmanager
def dawdling(services: ServiceProcesses, beginnings: dict[bytes, int]) -> Iterator[None]:
    """Senders who begin so, and then bring a byte now and then."""
    with ExitStack() as opened:
        senders = []
        for beginning, count in beginnings.items():
            for _ in range(count):
                senders.append(opened.enter_context(socket.create_connection(address(services))))
                senders[-1].sendall(beginning)
        over = threading.Event()

        def trickle() -> None:
            while not over.wait(0.3):
                for sender, beginning in zip(
                    senders, (b for b, n in beginnings.items() for _ in range(n)), strict=True
                ):
                    try:
                        if beginning:
                            sender.send(b"a")
                    except OSError:
                        pass  # sent away

        thread = threading.Thread(target=trickle)
        thread.start()
        yield
        over.set()
        thread.join()


@pytest.mark.parametrize("case", SLOW)
def test_slow_senders_keep_nobody_waiting(exposed: Callable[..., ServiceProcesses], case: str) -> None:
    """While hundreds trickle bodies, heads or nothing, uploads are accepted, and of the slow ones nothing stays."""
    services = exposed(RATE_LIMIT="off")
    took_s = []
    with dawdling(services, SLOW[case]):
        for _ in range(6):
            began = time.monotonic()
            services.upload()
            took_s.append(time.monotonic() - began)
            time.sleep(0.4)
    print(f"\nwhile 200 and more dawdle ({case}), an upload took {', '.join(f'{each:.3f}' for each in took_s)} s")
    assert max(took_s) < 5
    deadline = time.monotonic() + 10
    while len(services.files()) > 6 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(services.files()) == 6


def test_all_who_wait_for_a_job_are_told(exposed: Callable[..., ServiceProcesses]) -> None:
    """However many hear of its end in the same moment, each is answered with the job."""
    services = exposed()
    job_id = services.upload()
    with httpx.Client(limits=httpx.Limits(), timeout=90) as client, ThreadPoolExecutor(300) as pool:
        waiting = [pool.submit(client.get, f"{services.url}/status/{job_id}?wait=60") for _ in range(300)]
        time.sleep(3)
        services.client.delete(f"/jobs/{job_id}")
        answers = [poll.result() for poll in waiting]
    assert {(answer.status_code, answer.json().get("status")) for answer in answers} == {(200, "cancelled")}


def test_a_stranger_without_the_key_gets_nothing(exposed: Callable[..., ServiceProcesses]) -> None:
    """With a key, however it is carried, there is service; without, there are the probes alone. The log names none."""
    services = exposed(API_KEYS=f"{KEY}-one,{KEY}-two")
    with QUESTION.open("rb") as recording:
        for credentials in ({}, {"X-API-Key": KEY}, {"Authorization": "Basic Zm9vOmJhcg=="}):
            answer = services.client.post("/transcribe", files={"audio_file": recording}, headers=credentials)
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert services.client.get("/healthz").status_code == 200
    assert services.files() == []
    services.client.auth = ("anybody", f"{KEY}-two")
    job_id = services.upload()
    services.client.auth = None
    carried = {"Authorization": f"Bearer {KEY}-one"}
    assert services.client.get(f"/status/{job_id}", headers=carried).json()["status"] == "pending"
    assert services.client.get(f"/status/{job_id}").status_code == 401
    assert KEY not in services.logs()


@pytest.mark.parametrize(("trusted", "statuses"), [("127.0.0.1", [202, 202, 429]), ("192.0.2.1", [202, 429, 429])])
def test_a_caller_is_counted_by_the_address_that_a_proxy_tells(
    exposed: Callable[..., ServiceProcesses], trusted: str, statuses: list[int]
) -> None:
    """Behind TRUSTED_PROXIES two callers are two; whoever else sends X-Forwarded-For stays who it is."""
    services = exposed(RATE_LIMIT="1/minute", TRUSTED_PROXIES=trusted)
    for address_told, status in zip(["198.51.100.1", "198.51.100.2", "198.51.100.1"], statuses, strict=True):
        with QUESTION.open("rb") as recording:
            told = {"X-Forwarded-For": f"203.0.113.99, {address_told}"}
            answer = services.client.post("/transcribe", files={"audio_file": recording}, headers=told)
        assert answer.status_code == status


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
def test_a_wrong_limit_is_told_at_the_start(tmp_path: Path, setting: str, value: str) -> None:
    """An API that is not protected as its operator meant it does not start; the log says what to correct."""
    (tmp_path / "volume").mkdir()
    services = ServiceProcesses("redis://127.0.0.1:1/0", tmp_path / "volume", **{setting: value})
    services.start("api")
    assert services.processes.pop("api").wait(60) == 2
    (line,) = (tmp_path / "api.log").read_text().splitlines()
    assert line.startswith(f"{setting}: ")
    assert "too-short" not in line


def test_no_caller_can_forge_a_line_of_the_log(exposed: Callable[..., ServiceProcesses]) -> None:
    """Whatever is sent, each line is one JSON object of ours."""
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
