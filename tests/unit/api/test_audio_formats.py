"""Answers as Opus and MP3, encoded while they are being made and sent."""

import io
import threading
from collections.abc import Callable

import av
import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from numpy.typing import NDArray

from api.jobs import audio_formats as formats
from api.jobs.encoder import Encoder
from fakes.growing_answer import RATE_HZ, GrowingAnswer
from fakes.listener import Listener

Listen = Callable[..., Listener]

COMPRESSED = pytest.mark.parametrize("kind", ["ogg", "mp3"])

#: The most sound that an encoder buffers before it writes: a page of Opus, or the frames that MP3 looks ahead.
ENCODER_DELAY_S = 0.15


def tone(hertz: float, seconds: float = 1.0, rate_hz: int = RATE_HZ) -> NDArray[np.int16]:
    return (8_000 * np.sin(np.arange(round(seconds * rate_hz)) * 2 * np.pi * hertz / rate_hz)).astype(np.int16)


def decode(body: bytes) -> tuple[NDArray[np.float32], int]:
    """The samples of a file or of its beginning, and their rate."""
    frames = []
    with av.open(io.BytesIO(body)) as container:
        rate_hz = container.streams.audio[0].rate
        for frame in container.decode(audio=0):
            samples = frame.to_ndarray().reshape(-1)
            frames.append(samples.astype(np.float32) / (32_768 if samples.dtype == np.int16 else 1))
    return np.concatenate(frames or [np.zeros(0, np.float32)]), rate_hz


def pitch(sound: NDArray[np.float32], rate_hz: int) -> float:
    """The loudest frequency in Hz."""
    spectrum = np.abs(np.fft.rfft(sound))
    return float(np.argmax(spectrum) * rate_hz / len(sound))


@COMPRESSED
async def test_the_first_segment_is_sent_before_the_second_exists(
    listen: Listen, growing_answer: GrowingAnswer, kind: str
) -> None:
    """Nearly all of the first segment is sent before the second exists, and both together make one gapless file."""
    async with listen(f"?format={kind}") as listener:
        await growing_answer.write("One.", "Two.")
        await growing_answer.synthesize(tone(440))
        body = b""
        while (received_s := decoded_seconds(body)) < 1 - ENCODER_DELAY_S:
            body = await listener.read(len(body) + 1)
        assert received_s <= 1.1
        assert listener.headers["content-type"] == {"ogg": "audio/ogg", "mp3": "audio/mpeg"}[kind]
        await growing_answer.synthesize(tone(880))
        await growing_answer.complete()
        sound, rate_hz = decode(await listener.read_to_end())
    assert listener.is_complete
    assert len(sound) / rate_hz == pytest.approx(2, abs=0.11)
    assert pitch(sound[: rate_hz * 9 // 10], rate_hz) == pytest.approx(440, abs=5)
    assert pitch(sound[-rate_hz * 8 // 10 :], rate_hz) == pytest.approx(880, abs=5)


def decoded_seconds(body: bytes) -> float:
    """The length of what can be decoded so far."""
    try:
        sound, rate_hz = decode(body)
    except av.FFmpegError:  # not yet enough bytes to recognize the format
        return 0
    return len(sound) / rate_hz


@COMPRESSED
async def test_a_finished_answer_is_encoded_from_its_file(
    listen: Listen, growing_answer: GrowingAnswer, kind: str
) -> None:
    """A completed answer is encoded from its file, with a file name, and is smaller than the WAV."""
    await growing_answer.write("One.")
    await growing_answer.synthesize(tone(440, seconds=3))
    await growing_answer.complete()
    async with listen(f"?format={kind}") as listener:
        sound, rate_hz = decode(await listener.read_to_end())
    assert len(sound) / rate_hz == pytest.approx(3, abs=0.11)
    assert pitch(sound, rate_hz) == pytest.approx(440, abs=2)
    assert 0.1 < float(np.sqrt(np.mean(sound**2))) < 0.25
    assert listener.headers["content-disposition"].endswith(f'{growing_answer.job_id}_response.{kind}"')
    assert len(listener.body) < 3 * RATE_HZ * 2 / 3


@COMPRESSED
@pytest.mark.parametrize("rate_hz", [8_000, 10_000, 16_000, 22_050, 24_000, 44_100, 48_000])
def test_a_voice_may_have_any_rate(kind: formats.EncodedFormat, rate_hz: int) -> None:
    """A sample rate that the codec does not support is resampled to one that it does, with the same pitch and
    length."""
    encoder = Encoder(kind, rate_hz)
    body = encoder.encode(tone(600, 0.7, rate_hz).tobytes()) + encoder.finish()
    sound, encoded_rate_hz = decode(body)
    assert encoded_rate_hz >= rate_hz
    assert 0.69 < len(sound) / encoded_rate_hz < 0.9, "more is added than the silence that pads a frame"
    assert pitch(sound, encoded_rate_hz) == pytest.approx(600, abs=10)


async def test_an_offset_needs_wav(client: httpx.AsyncClient, growing_answer: GrowingAnswer) -> None:
    """An offset into a compressed answer is 416, and the detail points to WAV."""
    response = await client.get(f"/audio/{growing_answer.job_id}?format=ogg&offset=10")
    assert (response.status_code, response.json()["code"]) == (416, "offset_needs_wav")
    assert "format=wav" in response.json()["detail"]


async def test_an_unknown_format_is_refused(client: httpx.AsyncClient, growing_answer: GrowingAnswer) -> None:
    """An unknown format is 422, and the detail lists the supported ones."""
    response = await client.get(f"/audio/{growing_answer.job_id}?format=flac")
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
    assert "'wav', 'ogg' or 'mp3'" in response.json()["detail"]


@COMPRESSED
async def test_a_restarted_answer_ends_the_response_early(
    listen: Listen, growing_answer: GrowingAnswer, kind: str
) -> None:
    """A response whose answer is restarted ends without a last chunk, as a WAV does."""
    async with listen(f"?format={kind}") as listener:
        await growing_answer.write("One.", "Two.")
        await growing_answer.synthesize()
        await listener.read(1)
        await growing_answer.restart()
        await growing_answer.write("Another.")
        await listener.read_to_end()
        assert not listener.is_complete


@COMPRESSED
async def test_a_disconnected_listener_frees_its_encoder(
    app: FastAPI, listen: Listen, growing_answer: GrowingAnswer, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listener holds no encoder while it waits, and its encoder is closed off the event loop when it disconnects."""
    threads = []
    close = Encoder.close

    def record_close(encoder: Encoder) -> None:
        close(encoder)
        threads.append(threading.current_thread().name)

    monkeypatch.setattr(Encoder, "close", record_close)
    encoders = app.state.cascade.encoders
    async with listen(f"?format={kind}") as listener:
        await growing_answer.write("One.", "Two.")
        assert encoders.active == 0, "a listener that waits has no encoder"
        await growing_answer.synthesize()
        await listener.read(1)
        assert encoders.active == 1
    assert encoders.active == app.state.cascade.feeds.subscribers == 0
    encoders.close()
    assert [name.partition("_")[0] for name in threads] == ["encoding"]


async def test_the_number_of_encoders_is_limited(
    listen: Listen, growing_answer: GrowingAnswer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listener above the limit of encoders gets 503 with Retry-After, and is served once an encoder is free."""
    monkeypatch.setattr(formats, "_MAX_ENCODERS", 1)
    await growing_answer.write("One.", "Two.")
    await growing_answer.synthesize()
    async with listen("?format=ogg") as listener:
        await listener.read(1)
        async with listen("?format=mp3") as other_listener:
            await other_listener.read_to_end()
        assert (other_listener.status, "retry-after" in other_listener.headers) == (503, True)
        assert b"too_many_encodings" in other_listener.body
    async with listen("?format=mp3") as other_listener:
        await other_listener.read(1)
        assert other_listener.status == 200


@COMPRESSED
async def test_nothing_is_encoded_ahead_for_a_listener_that_does_not_read(
    listen: Listen, growing_answer: GrowingAnswer, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block is read and encoded only when the listener has taken the one before, however long the answer is."""
    blocks = []
    encode = Encoder.encode

    def record_encode(encoder: Encoder, samples: bytes) -> bytes:
        blocks.append(len(samples))
        return encode(encoder, samples)

    monkeypatch.setattr(Encoder, "encode", record_encode)
    await growing_answer.write("One.")
    await growing_answer.synthesize(tone(440, seconds=60))
    async with listen(f"?format={kind}") as slow_listener, listen(f"?format={kind}") as fast_listener:
        slow_listener.pause_reading()
        await growing_answer.complete()
        sound, rate_hz = decode(await fast_listener.read_to_end())
        assert len(sound) / rate_hz == pytest.approx(60, abs=0.2)
        assert sum(blocks) < 60 * RATE_HZ * 2 * 1.1
