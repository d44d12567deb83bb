"""Fixtures of the API on a fake Redis: called in this process, and served on a real socket."""

import http.client
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import uvicorn
from fakeredis import FakeAsyncRedis, FakeServer
from fastapi import FastAPI
from structlog.testing import capture_logs

from api.__main__ import SERVER_OPTIONS
from api.app import create_app
from api.settings import ApiSettings
from fakes.growing_answer import GrowingAnswer
from fakes.listener import Listener
from shared.queue.keys import KEYS
from shared.queue.messages import Claim, NewTask, Outcome
from shared.queue.queue import Queue
from shared.queue.redis_client import RedisClient
from shared.queue.stages import Stage, task_name
from shared.storage.local import LocalStorage
from support.wait import wait_until

#: The content type of a body that `build_form` has built.
FORM_TYPE = "multipart/form-data; boundary=limit"


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    return tmp_path / "volume"


@pytest.fixture
def files(volume: Path) -> Callable[[], list[str]]:
    """List every file on the volume, hidden ones too."""
    return lambda: sorted(path.relative_to(volume).as_posix() for path in volume.rglob("*") if path.is_file())


@pytest.fixture
def wav() -> bytes:
    """A recording of a tenth of a second of silence."""
    samples = bytes(3200)
    head = b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data" + len(samples).to_bytes(4, "little")
    return b"RIFF" + (len(head) + len(samples)).to_bytes(4, "little") + head + samples


@pytest.fixture
def build_form() -> Callable[..., bytes]:
    """Build a multipart body of content type FORM_TYPE. A part is the text behind `form-data; ` and the content."""

    def build(*parts: tuple[str, bytes], closed: bool = True) -> bytes:
        body = b"".join(
            f"--limit\r\nContent-Disposition: form-data; {options}\r\n\r\n".encode() + content + b"\r\n"
            for options, content in parts
        )
        return body + b"--limit--\r\n" if closed else body

    return build


@pytest.fixture
def settings(volume: Path) -> ApiSettings:
    return ApiSettings(data_dir=volume, max_upload_mb=25, max_live_jobs=1000, retention_hours=24)


@pytest.fixture
def fake_redis() -> FakeServer:
    """The server behind `fake_queue`; `connected = False` makes it unreachable."""
    return FakeServer()


@pytest.fixture
def fake_queue(fake_redis: FakeServer) -> Queue:
    return Queue(RedisClient(FakeAsyncRedis(server=fake_redis, decode_responses=True)))


@pytest.fixture
def logs() -> Iterator[list[MutableMapping[str, Any]]]:
    """The captured log entries. structlog's console renderer would take seconds to draw a traceback."""
    with capture_logs() as entries:
        yield entries


@pytest.fixture
async def app(settings: ApiSettings, fake_queue: Queue, logs: object) -> AsyncIterator[FastAPI]:
    app = create_app(settings, fake_queue)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        yield client


@pytest.fixture
def send_form(client: httpx.AsyncClient) -> Callable[..., Awaitable[httpx.Response]]:
    """Post a body that `build_form` has built."""

    async def send(body: bytes, content_type: str = FORM_TYPE) -> httpx.Response:
        return await client.post("/transcribe", content=body, headers={"Content-Type": content_type})

    return send


@pytest.fixture
def upload(client: httpx.AsyncClient, wav: bytes) -> Callable[..., Awaitable[httpx.Response]]:
    """Post the recording `wav`, or another one, with texts as the form's other fields."""

    async def send(data: bytes = wav, key: str = "", **texts: str) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        return await client.post(
            "/transcribe", files={"audio_file": ("question.wav", data)}, data=texts, headers=headers
        )

    return send


@pytest.fixture
def claim(fake_queue: Queue) -> Callable[[Stage], Awaitable[Claim]]:
    """Claim and begin the next task of a stage. Does not wait for one, since fakeredis has no blocking move."""

    async def claim(stage: Stage) -> Claim:
        held = KEYS["HELD"] + "worker"
        task = await fake_queue.client.command("lmove", KEYS["QUEUE"] + stage, held, "RIGHT", "LEFT")
        result = await fake_queue.begin("worker", stage, uuid4().hex, task)
        assert isinstance(result, Claim)
        return result

    return claim


@pytest.fixture
def run_task(fake_queue: Queue, claim: Callable[[Stage], Awaitable[Claim]]) -> Callable[..., Awaitable[Claim]]:
    """Claim and commit the next task of a stage: `run_task(stage, fields, next_tasks)`."""

    async def run_task(stage: Stage, fields: dict[str, str], next_tasks: Sequence[NewTask] = ()) -> Claim:
        task = await claim(stage)
        assert await fake_queue.commit("worker", task, Outcome(fields, next_tasks)) == "committed"
        return task

    return run_task


@pytest.fixture
def complete(run_task: Callable[..., Awaitable[Claim]], volume: Path, wav: bytes) -> Callable[[str], Awaitable[None]]:
    """Run the only waiting job through all its stages."""

    async def complete(job_id: str) -> None:
        await run_task(
            "stt",
            {"transcript": "What is it?", "language": "en", "input_duration_s": "0.1"}
            | {"engine:stt": "ear", "model:stt": "tiny"},
            [(task_name("llm", job_id), "")],
        )
        await run_task(
            "llm",
            {"response": "It is so.", "engine:llm": "mind", "model:llm": "small"},
            [(task_name("tts", job_id), "")],
        )
        (volume / "output" / f"{job_id}_response.wav").write_bytes(wav)
        outcome = {"audio_path": f"output/{job_id}_response.wav", "duration_s": "0.1", "engine:tts": "mouth"}
        await run_task("tts", outcome)

    return complete


class RawConnection:
    """A socket to the API that sends any bytes at any time."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)

    def send(self, *chunks: bytes) -> None:
        for chunk in chunks:
            self._socket.sendall(chunk)

    def read_response(self) -> tuple[http.client.HTTPResponse, bytes]:
        response = http.client.HTTPResponse(self._socket)
        response.begin()
        return response, response.read()

    def is_closed(self) -> bool:
        """Return True once the server has closed the connection, and fail after the socket's timeout."""
        try:
            return self._socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def port(settings: ApiSettings, fake_queue: Queue, logs: object) -> Iterator[int]:
    """The port on which uvicorn serves the API with the product's options."""
    config = uvicorn.Config(
        create_app(settings, fake_queue),
        host="127.0.0.1",
        port=0,
        **SERVER_OPTIONS,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(timeout=20)
    assert not thread.is_alive(), "the server did not stop"


@pytest.fixture
def connect(port: int) -> Iterator[Callable[[], RawConnection]]:
    """Open a connection to the API."""
    connections: list[RawConnection] = []

    def connect() -> RawConnection:
        connections.append(RawConnection(port))
        return connections[-1]

    yield connect
    for connection in connections:
        connection.close()


@pytest.fixture
async def growing_answer(
    client: httpx.AsyncClient,
    upload: Callable[..., Awaitable[httpx.Response]],
    fake_queue: Queue,
    volume: Path,
    claim: Callable[[Stage], Awaitable[Claim]],
) -> GrowingAnswer:
    """The answer to a question that has been uploaded and transcribed."""
    job_id = (await upload()).json()["job_id"]
    answer = GrowingAnswer(job_id, fake_queue, LocalStorage(volume), claim)
    await answer.transcribe()
    return answer


@pytest.fixture
def listen(app: FastAPI, growing_answer: GrowingAnswer) -> Callable[..., Listener]:
    """Request the growing answer's audio, or another path."""

    def listen(query: str = "", path: str = "", method: str = "GET", **headers: str) -> Listener:
        header_names = {name.replace("_", "-"): value for name, value in headers.items()}
        return Listener(app, (path or f"/audio/{growing_answer.job_id}") + query, header_names, method)

    return listen
