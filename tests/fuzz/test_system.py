"""Damaged recordings against the running service, as foreign clients send them."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from pathlib import Path

import httpx
import pytest

from api.intake.sniff import HEAD_BYTES, is_audio
from fuzz.mutations import Mutant, mutants
from fuzz.test_decoder import CODES, FILES, SEED
from support.redis_server import RedisServer
from support.services import ServiceProcesses

pytestmark = [pytest.mark.redis, pytest.mark.timeout(max(170, FILES // 5))]

IN_FLIGHT = 24

#: Internals that must not reach a client: tracebacks, paths, memory addresses, names of libraries and their errors.
INTERNALS = re.compile(
    r"Traceback|File \"|line \d|\b0x[0-9a-f]{4}|Errno|\w(?:Error|Exception)\b|\\[A-Za-z]|b'"
    r"|(?<![\w/}])/(?!status/|audio/|events/|jobs/)\w|\bav\.|(?i:ffmpeg|libav|pyav|numpy)"
)


@pytest.mark.parametrize(
    "text",
    [
        '{"detail": "Traceback (most recent call last)"}',
        '{"message": "Invalid data found: /srv/volume/input/3f2b"}',
        '{"message": "av.error.InvalidDataError(1094995529)"}',
        '{"message": "[Errno 2] No such file"}',
        '{"message": "<object at 0x7f21193d>"}',
    ],
)
def test_the_scan_finds_internals(text: str) -> None:
    """A response with a traceback, a path, a library's name or a memory address is found by the scan."""
    assert INTERNALS.search(text)


@pytest.fixture
def services(own_redis: RedisServer, tmp_path: Path) -> Iterator[ServiceProcesses]:
    data_dir = tmp_path / "volume"
    data_dir.mkdir()
    services = ServiceProcesses(own_redis.url, data_dir, STT_MAX_AUDIO_S="60", LOG_LEVEL="warning", RATE_LIMIT="off")
    services.start("api", "stt", "stt-2", "llm", "tts", "tts-2")
    services.wait_until_ready(stt=2, tts=2)
    yield services
    services.stop()


@pytest.fixture
async def client(services: ServiceProcesses) -> AsyncIterator[httpx.AsyncClient]:
    # The server closes a connection after five idle seconds; a request at that moment would get no response.
    limits = httpx.Limits(max_connections=IN_FLIGHT, keepalive_expiry=1)
    async with httpx.AsyncClient(base_url=services.url, timeout=90, limits=limits) as client:
        yield client


async def parse_response(response: httpx.Response) -> dict:
    """The JSON body, after asserting that it reveals no internals."""
    assert response.status_code < 500, response.text
    leak = INTERNALS.search(response.text)
    assert not leak, response.text
    return response.json()


async def run_job(client: httpx.AsyncClient, mutant: Mutant) -> tuple[str, int]:
    """The end of a damaged recording's job, `completed` or an error code, and its number of STT attempts."""
    accepted = await client.post("/transcribe", files={"audio_file": (mutant.name, mutant.data)})
    assert accepted.status_code == 202, accepted.text
    job = await parse_response(await client.get((await parse_response(accepted))["status_url"], params={"wait": 60}))
    if job["status"] == "failed":
        audio_response = await client.get(f"/audio/{job['job_id']}")
        assert ((await parse_response(audio_response))["code"], audio_response.status_code) == ("no_audio", 410)
        return job["error"]["code"], job["attempts"]["stt"]
    assert job["status"] == "completed", (mutant.name, job)
    audio_response = await client.get(job["audio_url"])
    assert audio_response.content[:4] == b"RIFF"
    return "completed", job["attempts"]["stt"]


async def test_a_thousand_damaged_uploads_end_completed_or_with_a_code(
    services: ServiceProcesses, client: httpx.AsyncClient
) -> None:
    """Each damaged upload ends completed or with a code after one attempt, no worker dies, and no response reveals
    internals."""
    outcomes: Counter[str] = Counter()
    attempts: Counter[int] = Counter()
    damaged = islice((mutant for mutant in mutants(SEED) if is_audio(mutant.data[:HEAD_BYTES])), FILES)

    async def run_client() -> None:
        for mutant in damaged:
            outcome, tries = await run_job(client, mutant)
            outcomes[outcome] += 1
            attempts[tries] += 1

    async with asyncio.TaskGroup() as clients:
        for _ in range(IN_FLIGHT):
            clients.create_task(run_client())
    dead_processes = [name for name, process in services.processes.items() if process.poll() is not None]
    print(f"{outcomes.total()} damaged uploads: {dict(outcomes)}; repeated jobs: {attempts.total() - attempts[1]}")
    assert outcomes.total() == FILES
    assert set(outcomes) <= CODES | {"completed"}
    assert attempts == {1: FILES}, services.logs()
    assert dead_processes == []


async def test_a_damaged_upload_that_is_not_audio_is_refused(
    client: httpx.AsyncClient, services: ServiceProcesses
) -> None:
    """An upload whose damaged head is no longer audio is refused with a code, and leaves no file."""
    not_audio = islice((mutant for mutant in mutants(SEED) if not is_audio(mutant.data[:HEAD_BYTES])), 30)
    for mutant in not_audio:
        response = await client.post("/transcribe", files={"audio_file": (mutant.name, mutant.data)})
        assert (response.status_code, (await parse_response(response))["code"]) in {
            (415, "unsupported_media_type"),
            (422, "empty_file"),
        }
    assert services.files() == []
