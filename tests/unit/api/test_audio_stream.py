"""Hearing an answer as WAV while it is being made."""

import asyncio
import io
import struct
import wave
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from fakeredis import FakeServer
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.jobs.audio_formats import WAV_HEADER_BYTES
from api.jobs.wav_file import BLOCK_BYTES, WavFile
from fakes.growing_answer import RATE_HZ, GrowingAnswer, noise
from fakes.listener import Listener, eventually

Listen = Callable[..., Listener]

HEAD = WAV_HEADER_BYTES


def samples(body: bytes) -> bytes:
    return body[HEAD:]


async def finish(answer: GrowingAnswer) -> bytes:
    await answer.stop_writing()
    return await answer.join()


async def test_the_first_segment_is_heard_before_the_second_is_there(listen: Listen, growing: GrowingAnswer) -> None:
    """Whoever asks early waits for the first, hears it at once, and in the end has what the whole file has."""
    async with listen() as listener:
        await growing.write("One.", "Two.")
        await asyncio.sleep(0.05)
        assert listener.status == 0
        first = await growing.speak()
        body = await listener.until(HEAD + first.nbytes)
        assert (listener.status, listener.headers["content-type"]) == (200, "audio/wav")
        assert samples(body) == first.tobytes()
        assert not listener.is_whole
        await growing.speak()
        whole = await finish(growing)
        assert samples(await listener.to_the_end()) == samples(whole)
        assert listener.is_whole


async def test_the_header_says_what_it_knows(listen: Listen, growing: GrowingAnswer) -> None:
    """Of a length that nobody knows yet it says the most that there can be, which players take for a stream."""
    async with listen() as listener:
        await growing.write("One.")
        await growing.speak()
        body = await listener.until(HEAD + 1)
    assert body[:4] + body[8:16] + body[36:40] == b"RIFFWAVEfmt data"
    assert struct.unpack("<I", body[4:8]) == struct.unpack("<I", body[40:44]) == (0xFFFFFFFF,)
    with wave.open(io.BytesIO(body)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE_HZ)


@pytest.fixture
async def two_segments(growing: GrowingAnswer) -> bytes:
    """The samples of two that are there, of a third only its text."""
    await growing.write("One.", "Two.", "Three.")
    return (await growing.speak()).tobytes() + (await growing.speak(noise(9, seconds=5))).tobytes()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1))
async def test_a_reconnect_anywhere_gets_exactly_the_rest(place: float, listen: Listen, two_segments: bytes) -> None:
    """From any byte on, of the head or of the sound, between two samples or amid one."""
    size = HEAD + len(two_segments)
    offset = round(place * size)
    async with listen() as first, listen(f"?offset={offset}") as second:
        body = await first.until(size)
        assert samples(body) == two_segments
        assert await second.until(size - offset) == body[offset:]


async def test_a_reconnect_after_the_end_gets_the_rest_of_the_file(
    listen: Listen, growing: GrowingAnswer, two_segments: bytes
) -> None:
    """The bytes lie where they lay: whoever goes on later gets them from the file."""
    await growing.speak()
    whole = await finish(growing)
    for offset in (1, HEAD, HEAD + 1, 20_001, len(whole) - 1, len(whole)):
        async with listen(f"?offset={offset}") as listener:
            assert await listener.to_the_end() == whole[offset:]
            assert (listener.status, listener.is_whole) == (200, True)
    async with listen(f"?offset={len(whole) + 1}") as listener:
        await listener.to_the_end()
        assert listener.status == 416


async def test_segments_that_are_spoken_out_of_order_are_heard_in_order(listen: Listen, growing: GrowingAnswer) -> None:
    """Two TTS workers share an answer: what the second has done first waits for the other."""
    await growing.write("One.", "Two.")
    slow = await growing.hold()
    async with listen() as listener:
        second = await growing.speak()
        await asyncio.sleep(0.05)
        assert listener.body == b""
        first = await growing.speak(held=slow)
        body = await listener.until(HEAD + first.nbytes + second.nbytes)
        assert samples(body) == first.tobytes() + second.tobytes()


async def test_a_segment_of_another_rate_is_heard_from_the_whole(listen: Listen, growing: GrowingAnswer) -> None:
    """Where workers with different voices spoke one answer, the whole is resampled; a stream cannot change its rate."""
    async with listen() as listener:
        await growing.write("One.", "Two.", "Three.")
        await growing.speak()
        await growing.speak(noise(2, rate_hz=22_050), 22_050)
        await growing.speak()
        whole = await finish(growing)
        assert samples(await listener.to_the_end()) == samples(whole)


async def test_segments_that_are_removed_are_heard_from_the_whole(
    listen: Listen, growing: GrowingAnswer, volume: Path, two_segments: bytes
) -> None:
    """Housekeeping may remove them under a listener who is far behind."""
    await growing.speak()
    whole = await finish(growing)
    for path in (volume / "work").rglob("*.wav"):
        path.unlink()
    async with listen(f"?offset={HEAD}") as listener:
        assert await listener.to_the_end() == samples(whole)


async def test_who_has_heard_of_an_answer_that_begins_anew_is_cut_off(listen: Listen, growing: GrowingAnswer) -> None:
    """Without a last chunk: nobody takes half of one answer and half of another for one."""
    async with listen() as listener:
        await growing.write("One.", "Two.")
        first = await growing.speak()
        await listener.until(HEAD + first.nbytes)
        await growing.write_anew()
        await growing.write("Another.")
        assert samples(await listener.to_the_end()) == first.tobytes()
        assert not listener.is_whole


async def test_who_comes_after_that_hears_the_new_answer_alone(listen: Listen, growing: GrowingAnswer) -> None:
    """Although the segments of the old one are still there; and an answer says which it is."""
    await growing.write("One.", "Two.")
    async with listen() as listener:
        await growing.speak()
        await listener.until(1)
        old_tag = listener.headers["etag"]
    await growing.write_anew()
    await growing.write("Another.")
    async with listen() as listener:
        second = await growing.speak()
        whole = await finish(growing)
        assert samples(await listener.to_the_end()) == samples(whole) == second.tobytes()
        assert listener.headers["etag"] != old_tag
    for tag, status in ((old_tag, 412), (listener.headers["etag"], 200), ("*", 200), ('"somebody\'s"', 412)):
        async with listen("?offset=100", if_match=tag) as late:
            await late.to_the_end()
            assert late.status == status, tag


async def test_who_waits_for_a_byte_of_an_answer_that_begins_anew_is_told(
    listen: Listen, growing: GrowingAnswer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """412, since nothing has been sent yet: that byte will be another one."""
    await growing.write("One.", "Two.")
    await growing.speak()
    skipped = []
    monkeypatch.setattr("api.jobs.audio_stream.WavFile", lambda path: skipped.append(path) or WavFile(path))
    async with listen("?offset=900000") as listener:
        await eventually(lambda: len(skipped) == 1)
        await growing.write_anew()
        await growing.write("Another.")
        body = await listener.to_the_end()
        assert listener.status == 412
        assert b"answer_restarted" in body


@pytest.mark.parametrize("heard", [False, True])
async def test_an_answer_that_fails_ends_its_listeners(listen: Listen, growing: GrowingAnswer, heard: bool) -> None:
    """Who has heard nothing is told; who has heard some of it is cut off."""
    async with listen() as listener:
        await growing.write("One.")
        if heard:
            await growing.speak()
            await listener.until(HEAD + 1)
        await growing.fail()
        await listener.to_the_end()
        assert listener.status == (200 if heard else 410)
        assert listener.is_whole is not heard


async def test_redis_may_go_away_for_a_while(
    listen: Listen, growing: GrowingAnswer, fake_redis: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Listeners wait, and hear the rest."""
    monkeypatch.setattr("api.jobs.job_feed._RECONNECT_S", 0.01)
    await growing.write("One.")
    async with listen() as listener:
        await growing.speak()
        await listener.until(HEAD + 1)
        fake_redis.connected = False
        await asyncio.sleep(0.05)
        fake_redis.connected = True
        whole = await finish(growing)
        assert samples(await listener.to_the_end()) == samples(whole)


@pytest.mark.parametrize("query", ["", "?format=ogg", "?offset=50"])
async def test_a_head_request_does_not_wait(listen: Listen, growing: GrowingAnswer, query: str) -> None:
    """Nobody knows how long the answer will be, and nothing is said of it."""
    async with listen(query, method="HEAD") as listener:
        assert await listener.to_the_end() == b""
        assert listener.status == 200
        assert "content-length" not in listener.headers


async def test_a_range_of_what_is_being_made_is_ignored(
    listen: Listen, growing: GrowingAnswer, two_segments: bytes
) -> None:
    """All of it is sent, as HTTP allows, and none is announced."""
    async with listen(range="bytes=0-9") as listener:
        assert samples(await listener.until(HEAD + len(two_segments))) == two_segments
        assert (listener.status, listener.headers.get("accept-ranges")) == (200, None)


async def test_who_leaves_before_the_first_word_leaves_nothing_behind(
    app: FastAPI, listen: Listen, growing: GrowingAnswer
) -> None:
    """The feed is closed at once, not when the answer begins."""
    feeds = app.state.cascade.feeds
    async with listen() as listener:
        await eventually(lambda: feeds.followers == 1)
        await listener.leave()
        assert listener.is_over
        assert feeds.followers == 0


async def test_who_leaves_in_the_middle_leaves_nothing_behind(
    app: FastAPI, listen: Listen, growing: GrowingAnswer, two_segments: bytes
) -> None:
    """Neither a feed nor an open file."""
    async with listen() as listener:
        await listener.until(HEAD + len(two_segments))
    assert app.state.cascade.feeds.followers == 0
    assert not [file for file in psutil.Process().open_files() if file.path.endswith(".wav")]


async def test_a_listener_who_takes_nothing_has_little_kept_for_it(
    app: FastAPI, listen: Listen, growing: GrowingAnswer
) -> None:
    """One block of a segment, however long that is, and it keeps nobody else waiting."""
    await growing.write("One.")
    async with listen() as slow, listen() as quick:
        slow.stop_taking()
        said = await growing.speak(noise(1, seconds=20))
        assert samples(await quick.until(HEAD + said.nbytes)) == said.tobytes()
        assert len(slow.body) <= BLOCK_BYTES


async def test_there_are_only_so_many_listeners(
    app: FastAPI, listen: Listen, growing: GrowingAnswer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is one too many is told to poll, and there is room again when somebody leaves."""
    feeds = app.state.cascade.feeds
    monkeypatch.setattr(feeds, "_most", 1)
    async with listen() as listener:
        await eventually(lambda: feeds.followers == 1)
        for path in ("", f"/events/{growing.job_id}"):
            async with listen(path=path) as another:
                await another.to_the_end()
                assert (another.status, "retry-after" in another.headers) == (503, True)
                assert b"too_many_listeners" in another.body
        await listener.leave()
    async with listen(path=f"/events/{growing.job_id}") as another:
        await another.until(10)
        assert another.status == 200
