"""An answer as WAV, streamed while it is being made."""

import asyncio
import io
import struct
import wave
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.jobs.audio_formats import WAV_HEADER_BYTES
from api.jobs.wav_file import BLOCK_BYTES
from fakes.growing_answer import RATE_HZ, GrowingAnswer, noise, wav_samples
from fakes.listener import Listener
from support.wait import async_wait_until

Listen = Callable[..., Listener]


async def test_the_first_segment_is_sent_before_the_second_exists(
    listen: Listen, growing_answer: GrowingAnswer
) -> None:
    """A listener waits for the first segment, gets it at once, and in the end has the samples of the whole file."""
    async with listen() as listener:
        await growing_answer.write("One.", "Two.")
        await asyncio.sleep(0.05)
        assert listener.status == 0
        first = await growing_answer.synthesize()
        body = await listener.read(WAV_HEADER_BYTES + first.nbytes)
        assert (listener.status, listener.headers["content-type"]) == (200, "audio/wav")
        assert wav_samples(body) == first.tobytes()
        assert not listener.is_complete
        await growing_answer.synthesize()
        whole = await growing_answer.complete()
        assert wav_samples(await listener.read_to_end()) == wav_samples(whole)
        assert listener.is_complete


async def test_the_header_gives_the_largest_length(listen: Listen, growing_answer: GrowingAnswer) -> None:
    """The header of a WAV whose length is unknown gives the largest length possible, which players take for a
    stream."""
    async with listen() as listener:
        await growing_answer.write("One.")
        await growing_answer.synthesize()
        body = await listener.read(WAV_HEADER_BYTES + 1)
    assert body[:4] + body[8:16] + body[36:40] == b"RIFFWAVEfmt data"
    assert struct.unpack("<I", body[4:8]) == struct.unpack("<I", body[40:44]) == (0xFFFFFFFF,)
    with wave.open(io.BytesIO(body)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE_HZ)


@pytest.fixture
async def two_segments(growing_answer: GrowingAnswer) -> bytes:
    """The samples of two segments, of an answer whose third is only text so far."""
    await growing_answer.write("One.", "Two.", "Three.")
    return (await growing_answer.synthesize()).tobytes() + (
        await growing_answer.synthesize(noise(9, seconds=5))
    ).tobytes()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.floats(0, 1))
async def test_a_reconnect_anywhere_gets_exactly_the_rest(position: float, listen: Listen, two_segments: bytes) -> None:
    """A listener that reconnects at any byte, in the header, between two samples or inside one, gets exactly the
    rest."""
    size = WAV_HEADER_BYTES + len(two_segments)
    offset = round(position * size)
    async with listen() as first, listen(f"?offset={offset}") as second:
        body = await first.read(size)
        assert wav_samples(body) == two_segments
        assert await second.read(size - offset) == body[offset:]


async def test_a_reconnect_after_the_end_gets_the_rest_of_the_file(
    listen: Listen, growing_answer: GrowingAnswer, two_segments: bytes
) -> None:
    """A listener that reconnects after the job has ended gets the rest from the file, at the same offsets as in the
    stream."""
    await growing_answer.synthesize()
    whole = await growing_answer.complete()
    for offset in (1, WAV_HEADER_BYTES, WAV_HEADER_BYTES + 1, 20_001, len(whole) - 1, len(whole)):
        async with listen(f"?offset={offset}") as listener:
            assert await listener.read_to_end() == whole[offset:]
            assert (listener.status, listener.is_complete) == (200, True)
    async with listen(f"?offset={len(whole) + 1}") as listener:
        await listener.read_to_end()
        assert listener.status == 416


async def test_segments_synthesized_out_of_order_are_sent_in_order(
    listen: Listen, growing_answer: GrowingAnswer
) -> None:
    """A segment that the second of two TTS workers has finished first is held back until the one before it is sent."""
    await growing_answer.write("One.", "Two.")
    first_task = await growing_answer.claim_segment()
    async with listen() as listener:
        second = await growing_answer.synthesize()
        await asyncio.sleep(0.05)
        assert listener.body == b""
        first = await growing_answer.synthesize(claim=first_task)
        body = await listener.read(WAV_HEADER_BYTES + first.nbytes + second.nbytes)
        assert wav_samples(body) == first.tobytes() + second.tobytes()


async def test_a_segment_of_another_rate_is_sent_from_the_whole_file(
    listen: Listen, growing_answer: GrowingAnswer
) -> None:
    """A listener to an answer of several sample rates gets the resampled whole file, since a stream cannot change its
    rate."""
    async with listen() as listener:
        await growing_answer.write("One.", "Two.", "Three.")
        await growing_answer.synthesize()
        await growing_answer.synthesize(noise(2, rate_hz=22_050), 22_050)
        await growing_answer.synthesize()
        whole = await growing_answer.complete()
        assert wav_samples(await listener.read_to_end()) == wav_samples(whole)


async def test_removed_segments_are_sent_from_the_whole_file(
    listen: Listen, growing_answer: GrowingAnswer, volume: Path, two_segments: bytes
) -> None:
    """A listener whose next segments the cleanup has removed gets the rest from the whole file."""
    await growing_answer.synthesize()
    whole = await growing_answer.complete()
    for path in (volume / "work").rglob("*.wav"):
        path.unlink()
    async with listen(f"?offset={WAV_HEADER_BYTES}") as listener:
        assert await listener.read_to_end() == wav_samples(whole)


@pytest.mark.parametrize("query", ["", "?format=ogg", "?offset=50"])
async def test_a_head_request_does_not_wait(listen: Listen, growing_answer: GrowingAnswer, query: str) -> None:
    """HEAD for an unfinished answer returns at once, without a length since it is not known yet."""
    async with listen(query, method="HEAD") as listener:
        assert await listener.read_to_end() == b""
        assert listener.status == 200
        assert "content-length" not in listener.headers


async def test_a_range_of_an_unfinished_answer_is_ignored(
    listen: Listen, growing_answer: GrowingAnswer, two_segments: bytes
) -> None:
    """A Range header on an unfinished answer is ignored, as HTTP allows, and ranges are not announced."""
    async with listen(range="bytes=0-9") as listener:
        assert wav_samples(await listener.read(WAV_HEADER_BYTES + len(two_segments))) == two_segments
        assert (listener.status, listener.headers.get("accept-ranges")) == (200, None)


async def test_a_listener_that_leaves_before_the_first_segment_frees_its_feed(
    app: FastAPI, listen: Listen, growing_answer: GrowingAnswer
) -> None:
    """The feed of a listener that disconnects before any audio exists is closed at once."""
    feeds = app.state.cascade.feeds
    async with listen() as listener:
        await async_wait_until(lambda: feeds.subscribers == 1)
        await listener.disconnect()
        assert listener.is_done
        assert feeds.subscribers == 0


async def test_a_listener_that_leaves_in_the_middle_frees_feed_and_file(
    app: FastAPI, listen: Listen, growing_answer: GrowingAnswer, two_segments: bytes
) -> None:
    """A listener that disconnects while it is being served leaves neither a feed nor an open file behind."""
    async with listen() as listener:
        await listener.read(WAV_HEADER_BYTES + len(two_segments))
    assert app.state.cascade.feeds.subscribers == 0
    assert not [file for file in psutil.Process().open_files() if file.path.endswith(".wav")]


async def test_little_is_buffered_for_a_listener_that_does_not_read(
    app: FastAPI, listen: Listen, growing_answer: GrowingAnswer
) -> None:
    """A listener that does not read has at most one block buffered for it, and does not delay other listeners."""
    await growing_answer.write("One.")
    async with listen() as slow_listener, listen() as fast_listener:
        slow_listener.pause_reading()
        segment = await growing_answer.synthesize(noise(1, seconds=20))
        assert wav_samples(await fast_listener.read(WAV_HEADER_BYTES + segment.nbytes)) == segment.tobytes()
        assert len(slow_listener.body) <= BLOCK_BYTES


async def test_the_number_of_listeners_is_limited(
    app: FastAPI, listen: Listen, growing_answer: GrowingAnswer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listener above the limit gets 503 with Retry-After, and is served once another has left."""
    feeds = app.state.cascade.feeds
    monkeypatch.setattr(feeds, "_max_subscribers", 1)
    async with listen() as listener:
        await async_wait_until(lambda: feeds.subscribers == 1)
        for path in ("", f"/events/{growing_answer.job_id}"):
            async with listen(path=path) as other_listener:
                await other_listener.read_to_end()
                assert (other_listener.status, "retry-after" in other_listener.headers) == (503, True)
                assert b"too_many_listeners" in other_listener.body
        await listener.disconnect()
    async with listen(path=f"/events/{growing_answer.job_id}") as other_listener:
        await other_listener.read(10)
        assert other_listener.status == 200
