"""Accepted uploads: the job, its recording and its fields."""

import os
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from shared.queue.queue import Queue

Send = Callable[..., Awaitable[httpx.Response]]
Files = Callable[[], list[str]]


async def test_an_upload_becomes_a_job(upload: Send, client: httpx.AsyncClient) -> None:
    """An accepted upload's response has the job's id and its URLs, in the body and as Location."""
    response = await upload()
    job = response.json()
    assert response.status_code == 202
    assert set(job) >= {"message", "job_id", "status_url", "audio_url", "events_url"}
    assert response.headers["location"] == job["status_url"]
    assert (await client.get(job["status_url"])).json()["status"] == "pending"


async def test_the_recording_is_stored_byte_for_byte(upload: Send, files: Files, volume: Path) -> None:
    """A recording that contains boundary-like bytes is stored byte for byte under the job's id."""
    recording = b"RIFF\0\0\0\0WAVE" + b"\r\n--limit--\r\n" + bytes(range(256)) * 10_000
    job_id = (await upload(recording)).json()["job_id"]
    assert files() == [f"input/{job_id}"]
    assert (volume / "input" / job_id).read_bytes() == recording


async def test_a_job_waits_for_speech_recognition(upload: Send, fake_queue: Queue) -> None:
    """An accepted upload is one task in the STT stage's list."""
    await upload()
    assert await fake_queue.depths() == {"stt": 1, "llm": 0, "tts": 0}


async def test_form_fields_are_stored_with_the_job(upload: Send, fake_queue: Queue) -> None:
    """Language, voice and system prompt of the form are stored with the job, trimmed, in any script."""
    texts = {"language": " pt-BR ", "voice": "en_US-lessac-medium", "system_prompt": "Sê breve.\nКоротко. 短く。"}
    job_id = (await upload(**texts)).json()["job_id"]
    fields = await fake_queue.fields(job_id)
    assert fields["language_hint"] == "pt-BR"
    assert fields["voice"] == "en_US-lessac-medium"
    assert fields["system_prompt"] == "Sê breve.\nКоротко. 短く。"


async def test_an_empty_form_field_is_ignored(upload: Send, fake_queue: Queue) -> None:
    """A form field that is empty or blank is treated as absent."""
    job_id = (await upload(language="", voice=" ", system_prompt="")).json()["job_id"]
    assert {"language_hint", "voice", "system_prompt"}.isdisjoint(await fake_queue.fields(job_id))


NAMES = {
    "a path upwards": "../../../etc/cron.d/job.wav",
    "an absolute path": "/etc/passwd",
    "a path of Windows": "..\\..\\boot.ini",
    "300 characters": "n" * 300 + ".wav",
    "a NUL": "a\0b.wav",
    "an escaped quote": 'a\\"; name=\\"language.wav',
    "an escaped line": "a%0D%0Ab.wav",
    "another script": "вопрос 質問 سؤال 🎤.wav",
    "nothing": "",
    "a dot": ".",
    "a hidden partial file": ".x.part",
}


@pytest.mark.parametrize("case", NAMES)
async def test_the_file_name_is_ignored(
    case: str, build_form: Callable[..., bytes], send_form: Send, files: Files, tmp_path: Path, wav: bytes
) -> None:
    """A recording with any file name is accepted, and stored only under its job's id."""
    response = await send_form(build_form((f'name="audio_file"; filename="{NAMES[case]}"', wav)))
    assert response.status_code == 202, response.text
    assert files() == [f"input/{response.json()['job_id']}"]
    all_files = [name for _, _, names in os.walk(tmp_path) for name in names]
    assert len(all_files) == 1, "a file was written outside of the volume"


async def test_a_file_needs_no_name(build_form: Callable[..., bytes], send_form: Send, wav: bytes) -> None:
    """A recording that is sent without a file name is accepted."""
    assert (await send_form(build_form(('name="audio_file"', wav)))).status_code == 202


async def test_a_large_upload_is_not_held_in_memory(client: httpx.AsyncClient, files: Files) -> None:
    """An upload of 20 MB takes a few blocks of memory, not 20 MB."""
    block = bytes(65_536)

    async def body() -> AsyncIterator[bytes]:
        yield b'--limit\r\nContent-Disposition: form-data; name="audio_file"\r\n\r\nRIFF\0\0\0\0WAVE'
        for _ in range(20_000_000 // len(block)):
            yield block
        yield b"\r\n--limit--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=limit"}
    tracemalloc.start()
    try:
        response = await client.post("/transcribe", content=body(), headers=headers)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert response.status_code == 202
    assert len(files()) == 1
    assert peak < 6_000_000
