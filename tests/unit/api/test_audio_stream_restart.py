"""Listeners to an answer that is restarted or fails, or while Redis is unreachable."""

import asyncio
from collections.abc import Callable

import pytest
from fakeredis import FakeServer

from api.jobs.audio_formats import WAV_HEADER_BYTES
from api.jobs.wav_file import WavFile
from fakes.growing_answer import GrowingAnswer, wav_samples
from fakes.listener import Listener
from support.wait import async_wait_until

Listen = Callable[..., Listener]


async def test_a_restarted_answer_cuts_off_its_listeners(listen: Listen, growing_answer: GrowingAnswer) -> None:
    """A listener that has received part of an answer is cut off without a last chunk when the answer is restarted, so
    that it never mixes two answers."""
    async with listen() as listener:
        await growing_answer.write("One.", "Two.")
        first = await growing_answer.synthesize()
        await listener.read(WAV_HEADER_BYTES + first.nbytes)
        await growing_answer.restart()
        await growing_answer.write("Another.")
        assert wav_samples(await listener.read_to_end()) == first.tobytes()
        assert not listener.is_complete


async def test_a_listener_after_a_restart_gets_only_the_new_answer(
    listen: Listen, growing_answer: GrowingAnswer
) -> None:
    """A listener that comes after a restart gets only the new answer, whose ETag differs from the old one's."""
    await growing_answer.write("One.", "Two.")
    async with listen() as listener:
        await growing_answer.synthesize()
        await listener.read(1)
        old_tag = listener.headers["etag"]
    await growing_answer.restart()
    await growing_answer.write("Another.")
    async with listen() as listener:
        second = await growing_answer.synthesize()
        await listener.read(1)  # the ETag of the stream, not that of the complete file
        whole = await growing_answer.complete()
        assert wav_samples(await listener.read_to_end()) == wav_samples(whole) == second.tobytes()
        assert listener.headers["etag"] != old_tag
    for tag, status in ((old_tag, 412), (listener.headers["etag"], 200), ("*", 200), ('"unknown"', 412)):
        async with listen("?offset=100", if_match=tag) as late_listener:
            await late_listener.read_to_end()
            assert late_listener.status == status, tag


async def test_a_listener_at_an_offset_of_a_restarted_answer_gets_412(
    listen: Listen, growing_answer: GrowingAnswer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listener that waits for an offset gets 412 when the answer is restarted, since the byte there is another one
    now."""
    await growing_answer.write("One.", "Two.")
    await growing_answer.synthesize()
    skipped = []
    monkeypatch.setattr("api.jobs.audio_stream.WavFile", lambda path: skipped.append(path) or WavFile(path))
    async with listen("?offset=900000") as listener:
        await async_wait_until(lambda: len(skipped) == 1)
        await growing_answer.restart()
        await growing_answer.write("Another.")
        body = await listener.read_to_end()
        assert listener.status == 412
        assert b"answer_restarted" in body


@pytest.mark.parametrize("has_started", [False, True])
async def test_an_answer_that_fails_ends_its_listeners(
    listen: Listen, growing_answer: GrowingAnswer, has_started: bool
) -> None:
    """A listener to an answer that fails gets 410 if nothing has been sent, and is cut off otherwise."""
    async with listen() as listener:
        await growing_answer.write("One.")
        if has_started:
            await growing_answer.synthesize()
            await listener.read(WAV_HEADER_BYTES + 1)
        await growing_answer.fail()
        await listener.read_to_end()
        assert listener.status == (200 if has_started else 410)
        assert listener.is_complete is not has_started


async def test_a_stream_survives_an_outage_of_redis(
    listen: Listen, growing_answer: GrowingAnswer, fake_redis: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listener waits while Redis is unreachable, and then gets the rest of the answer."""
    monkeypatch.setattr("api.jobs.job_feed._RECONNECT_S", 0.01)
    await growing_answer.write("One.")
    async with listen() as listener:
        await growing_answer.synthesize()
        await listener.read(WAV_HEADER_BYTES + 1)
        fake_redis.connected = False
        await asyncio.sleep(0.05)
        fake_redis.connected = True
        whole = await growing_answer.complete()
        assert wav_samples(await listener.read_to_end()) == wav_samples(whole)
