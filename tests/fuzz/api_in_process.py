"""The API on a fake Redis, called without a network: thousands of requests in seconds."""

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from fakeredis import FakeAsyncRedis, FakeServer

from api.app import create_app
from api.settings import ApiSettings
from shared.queue.queue import Queue
from shared.queue.redis_client import RedisClient

FORM_TYPE = "multipart/form-data; boundary=limit"


class ApiInProcess:
    """A synchronous client of the API, which runs in this process and in an event loop of its own."""

    def __init__(self, volume: Path) -> None:
        self._volume = volume
        self._runner = asyncio.Runner()
        settings = ApiSettings(
            _env_file=None, data_dir=volume, max_upload_mb=0.2, max_live_jobs=1_000_000, rate_limit="off"
        )
        queue = Queue(RedisClient(FakeAsyncRedis(server=FakeServer(), decode_responses=True)))
        self._app = create_app(settings, queue)
        transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://api")
        self._lifespan = self._app.router.lifespan_context(self._app)

    def __enter__(self) -> Self:
        self._runner.run(self._lifespan.__aenter__())
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._runner.run(self._client.aclose())
        self._runner.run(self._lifespan.__aexit__(None, None, None))
        self._runner.close()

    def post(
        self, body: bytes, content_type: str | bytes = FORM_TYPE, **headers: str | bytes
    ) -> tuple[httpx.Response, bytes | None]:
        """Upload the body. Return the response and the file that the volume then holds, if any, which is removed."""
        headers = {"Content-Type": content_type} | {name.replace("_", "-"): value for name, value in headers.items()}
        response = self._runner.run(self._client.post("/transcribe", content=body, headers=headers))
        files = [path for path in self._volume.rglob("*") if path.is_file()]
        assert len(files) <= 1
        stored = None
        for path in files:
            stored = path.read_bytes()
            path.unlink()
        return response, stored
