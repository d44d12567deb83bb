"""The API on a queue without a server: in this process, and on a real socket."""

import http.client
import socket
import threading
import time
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
from shared.queue.stages import Stage, task_name
from shared.storage.local import Storage

#: What a form of `form` is sent with.
FORM_TYPE = "multipart/form-data; boundary=limit"


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    return tmp_path / "volume"


@pytest.fixture
def files(volume: Path) -> Callable[[], list[str]]:
    """Every file on the volume, hidden ones too."""
    return lambda: sorted(path.relative_to(volume).as_posix() for path in volume.rglob("*") if path.is_file())


@pytest.fixture
def wav() -> bytes:
    """A tenth of a second of silence."""
    sound = bytes(3200)
    head = b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data" + len(sound).to_bytes(4, "little")
    return b"RIFF" + (len(head) + len(sound)).to_bytes(4, "little") + head + sound


@pytest.fixture
def form() -> Callable[..., bytes]:
    """Writes a multipart body, to be sent as FORM_TYPE: parts are what stands behind `form-data; `, and the content."""

    def write(*parts: tuple[str, bytes], closed: bool = True) -> bytes:
        body = b"".join(
            f"--limit\r\nContent-Disposition: form-data; {about}\r\n\r\n".encode() + content + b"\r\n"
            for about, content in parts
        )
        return body + b"--limit--\r\n" if closed else body

    return write


@pytest.fixture
def settings(volume: Path) -> ApiSettings:
    return ApiSettings(data_dir=volume, max_upload_mb=25, max_live_jobs=1000, retention_hours=24)


@pytest.fixture
def fake_redis() -> FakeServer:
    """What stands for the Redis server; `connected = False` takes it away."""
    return FakeServer()


@pytest.fixture
def fake_queue(fake_redis: FakeServer) -> Queue:
    return Queue(FakeAsyncRedis(server=fake_redis, decode_responses=True))


@pytest.fixture
def logs() -> Iterator[list[MutableMapping[str, Any]]]:
    """What is logged; to draw a traceback for people would take seconds."""
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
    """Posts a body as `form` writes them."""

    async def send(body: bytes, content_type: str = FORM_TYPE) -> httpx.Response:
        return await client.post("/transcribe", content=body, headers={"Content-Type": content_type})

    return send


@pytest.fixture
def upload(client: httpx.AsyncClient, wav: bytes) -> Callable[..., Awaitable[httpx.Response]]:
    """Posts a good recording, or another one, with texts as the form's other fields."""

    async def send(data: bytes = wav, key: str = "", **texts: str) -> httpx.Response:
        form = {"audio_file": ("question.wav", data)}
        return await client.post("/transcribe", files=form, data=texts, headers={"Idempotency-Key": key} if key else {})

    return send


@pytest.fixture
def claim(fake_queue: Queue) -> Callable[[Stage], Awaitable[Claim]]:
    """Begins the next task of a stage as a worker would, but without waiting, which fakeredis cannot."""

    async def claim(stage: Stage) -> Claim:
        held = KEYS["HELD"] + "worker"
        task = await fake_queue.redis.client.lmove(KEYS["QUEUE"] + stage, held, "RIGHT", "LEFT")
        claimed = await fake_queue.begin("worker", stage, uuid4().hex, task)
        assert isinstance(claimed, Claim)
        return claimed

    return claim


@pytest.fixture
def work(fake_queue: Queue, claim: Callable[[Stage], Awaitable[Claim]]) -> Callable[..., Awaitable[Claim]]:
    """Does the next task of a stage as a worker would: `work(stage, fields, next tasks)`."""

    async def work(stage: Stage, fields: dict[str, str], following: Sequence[NewTask] = ()) -> Claim:
        claimed = await claim(stage)
        assert await fake_queue.commit("worker", claimed, Outcome(fields, following)) == "committed"
        return claimed

    return work


@pytest.fixture
def complete(work: Callable[..., Awaitable[Claim]], volume: Path, wav: bytes) -> Callable[[str], Awaitable[None]]:
    """Takes the job that waits, which must be the only one, through all stages."""

    async def complete(job_id: str) -> None:
        await work(
            "stt",
            {"transcript": "What is it?", "language": "en", "input_duration_s": "0.1"}
            | {"engine:stt": "ear", "model:stt": "tiny"},
            [(task_name("llm", job_id), "")],
        )
        await work(
            "llm",
            {"response": "It is so.", "engine:llm": "mind", "model:llm": "small"},
            [(task_name("tts", job_id), "")],
        )
        (volume / "output" / f"{job_id}_response.wav").write_bytes(wav)
        spoken = {"audio_path": f"output/{job_id}_response.wav", "duration_s": "0.1", "engine:tts": "mouth"}
        await work("tts", spoken)

    return complete


class Connection:
    """A client that sends what it likes, when it likes."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self._socket.sendall(piece)

    def answer(self) -> tuple[http.client.HTTPResponse, bytes]:
        response = http.client.HTTPResponse(self._socket)
        response.begin()
        return response, response.read()

    def is_closed(self) -> bool:
        """Whether the server has closed the connection, or does within the timeout."""
        try:
            return self._socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def port(settings: ApiSettings, fake_queue: Queue, logs: object) -> Iterator[int]:
    """Where uvicorn serves the API, set up as in the product."""
    config = uvicorn.Config(
        create_app(settings, fake_queue),
        host="127.0.0.1",
        port=0,
        **SERVER_OPTIONS,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(timeout=20)
    assert not thread.is_alive(), "the server did not stop"


@pytest.fixture
def connect(port: int) -> Iterator[Callable[[], Connection]]:
    """Opens a connection to the API."""
    opened: list[Connection] = []

    def connect() -> Connection:
        opened.append(Connection(port))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()


@pytest.fixture
async def growing(
    client: httpx.AsyncClient,
    upload: Callable[..., Awaitable[httpx.Response]],
    fake_queue: Queue,
    volume: Path,
    claim: Callable[[Stage], Awaitable[Claim]],
) -> GrowingAnswer:
    """The answer to a question that has been heard."""
    job_id = (await upload()).json()["job_id"]
    answer = GrowingAnswer(job_id, fake_queue, Storage(volume), claim)
    await answer.transcribe()
    return answer


@pytest.fixture
def listen(app: FastAPI, growing: GrowingAnswer) -> Callable[..., Listener]:
    """Somebody who listens to that answer."""

    def listen(query: str = "", path: str = "", method: str = "GET", **headers: str) -> Listener:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Listener(app, (path or f"/audio/{growing.job_id}") + query, named, method)

    return listen
