"""Damaged recordings against the whole service, as strangers send them."""

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

#: What must never reach a client: stacks, paths, addresses in memory, names of libraries and of their errors.
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
def test_the_scan_sees_what_it_looks_for(text: str) -> None:
    """A stack, a path, a library, an address: each is found."""
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
    # The server closes what has been idle for five seconds: whoever takes it up at that moment is told nothing.
    limits = httpx.Limits(max_connections=IN_FLIGHT, keepalive_expiry=1)
    async with httpx.AsyncClient(base_url=services.url, timeout=90, limits=limits) as client:
        yield client


async def told(answer: httpx.Response) -> dict:
    """The body, which must give nothing away."""
    assert answer.status_code < 500, answer.text
    leak = INTERNALS.search(answer.text)
    assert not leak, answer.text
    return answer.json()


async def fate(client: httpx.AsyncClient, mutant: Mutant) -> tuple[str, int]:
    """How the job of a damaged recording ended, and how often its decoding was begun."""
    accepted = await client.post("/transcribe", files={"audio_file": (mutant.name, mutant.data)})
    assert accepted.status_code == 202, accepted.text
    job = await told(await client.get((await told(accepted))["status_url"], params={"wait": 60}))
    if job["status"] == "failed":
        gone = await client.get(f"/audio/{job['job_id']}")
        assert ((await told(gone))["code"], gone.status_code) == ("no_audio", 410)
        return job["error"]["code"], job["attempts"]["stt"]
    assert job["status"] == "completed", (mutant.name, job)
    spoken = await client.get(job["audio_url"])
    assert spoken.content[:4] == b"RIFF"
    return "completed", job["attempts"]["stt"]


async def test_a_thousand_damaged_uploads_end_completed_or_with_a_code(
    services: ServiceProcesses, client: httpx.AsyncClient
) -> None:
    """Whatever is wrong with them, no worker dies, nothing is tried twice, and no answer tells of what is inside."""
    fates: Counter[str] = Counter()
    attempts: Counter[int] = Counter()
    damaged = islice((mutant for mutant in mutants(SEED) if is_audio(mutant.data[:HEAD_BYTES])), FILES)

    async def caller() -> None:
        for mutant in damaged:
            how, tries = await fate(client, mutant)
            fates[how] += 1
            attempts[tries] += 1

    async with asyncio.TaskGroup() as callers:
        for _ in range(IN_FLIGHT):
            callers.create_task(caller())
    deaths = [name for name, process in services.processes.items() if process.poll() is not None]
    print(f"{fates.total()} damaged uploads: {dict(fates)}; decoders that died: {attempts.total() - attempts[1]}")
    assert fates.total() == FILES
    assert set(fates) <= CODES | {"completed"}
    assert attempts == {1: FILES}, services.logs()
    assert deaths == []


async def test_a_damaged_upload_that_is_no_audio_is_turned_away(
    client: httpx.AsyncClient, services: ServiceProcesses
) -> None:
    """What has lost its first bytes is refused at the door, as plainly, and nothing of it is kept."""
    refused = islice((mutant for mutant in mutants(SEED) if not is_audio(mutant.data[:HEAD_BYTES])), 30)
    for mutant in refused:
        answer = await client.post("/transcribe", files={"audio_file": (mutant.name, mutant.data)})
        assert (answer.status_code, (await told(answer))["code"]) in {
            (415, "unsupported_media_type"),
            (422, "empty_file"),
        }
    assert services.files() == []
