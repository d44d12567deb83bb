"""Stacks of real processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.redis_server import RedisServer, redis_binaries
from support.services import QUESTION, ServiceProcesses, run_services


@pytest.fixture
def services(own_redis: RedisServer, tmp_path: Path) -> Iterator[ServiceProcesses]:
    """A stack that is not started yet, whose engines take as long as the test sets."""
    services = ServiceProcesses(own_redis.url, tmp_path / "volume")
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
    """A stack with the engines that need no key and no download, and with a short limit of a recording's length."""
    settings = {
        "STT_ENGINE": "pocketsphinx",
        "LLM_ENGINE": "auto",
        "TTS_ENGINE": "espeak",
        "GEMINI_API_KEY": "",
        "OPENAI_BASE_URL": "",
        "STT_MAX_AUDIO_S": "60",
        "RATE_LIMIT": "off",
    }
    with run_services(redis_for_all.url, tmp_path_factory.mktemp("embedded") / "volume", **settings) as services:
        yield services


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The working directory of a command, with the recorded question."""
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "question.wav").write_bytes(QUESTION.read_bytes())
    return folder
