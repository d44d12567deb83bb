"""A stack of real processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.redis_server import RedisServer, redis_binaries
from support.services import QUESTION, ServiceProcesses


@pytest.fixture
def services(own_redis: RedisServer, tmp_path: Path) -> Iterator[ServiceProcesses]:
    """Not started yet; with engines that are as slow as the test wants."""
    data_dir = tmp_path / "volume"
    data_dir.mkdir()
    services = ServiceProcesses(own_redis.url, data_dir)
    yield services
    services.stop()


@pytest.fixture(scope="session")
def redis_for_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server that no test kills."""
    server = RedisServer(next(iter(redis_binaries().values())), tmp_path_factory.mktemp("redis-for-all"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory, redis_for_all: RedisServer) -> Iterator[ServiceProcesses]:
    """Workers that need no key and no download."""
    data_dir = tmp_path_factory.mktemp("talking") / "volume"
    data_dir.mkdir()
    engines = {"STT_ENGINE": "pocketsphinx", "LLM_ENGINE": "auto", "TTS_ENGINE": "espeak"}
    services = ServiceProcesses(redis_for_all.url, data_dir, **engines, GEMINI_API_KEY="", OPENAI_BASE_URL="")
    services.start()
    services.wait_until_ready()
    yield services
    services.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the command is run."""
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "question.wav").write_bytes(QUESTION.read_bytes())
    return folder
