"""An answer as Opus or MP3, encoded while it is being made and sent."""

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

#: What of the sound an encoder may keep to itself until more comes: a page of Opus, or the frames that MP3 looks ahead.
HELD_BACK_S = 0.15


def tone(hertz: float, seconds: float = 1.0, rate_hz: int = RATE_HZ) -> NDArray[np.int16]:
    return (8_000 * np.sin(np.arange(round(seconds * rate_hz)) * 2 * np.pi * hertz / rate_hz)).astype(np.int16)


def decoded(body: bytes) -> tuple[NDArray[np.float32], int]:
    """The sound, also of a part, and its rate."""
    pieces = []
    with av.open(io.BytesIO(body)) as container:
        rate_hz = container.streams.audio[0].rate
        for frame in container.decode(audio=0):
            sound = frame.to_ndarray().reshape(-1)
            pieces.append(sound.astype(np.float32) / (32_768 if sound.dtype == np.int16 else 1))
    return np.concatenate(pieces or [np.zeros(0, np.float32)]), rate_hz


def pitch(sound: NDArray[np.float32], rate_hz: int) -> float:
    spectrum = np.abs(np.fft.rfft(sound))
    return float(np.argmax(spectrum) * rate_hz / len(sound))


@COMPRESSED
async def test_the_first_segment_comes_before_the_second_is_there(
    listen: Listen, growing: GrowingAnswer, kind: str
) -> None:
    """Nearly all of it can be heard at once; and in the end all can, with nothing added between."""
    async with listen(f"?format={kind}") as listener:
        await growing.write("One.", "Two.")
        await growing.speak(tone(440))
        body = b""
        while (heard_s := seconds(body)) < 1 - HELD_BACK_S:
            body = await listener.until(len(body) + 1)
        assert heard_s <= 1.1
        assert listener.headers["content-type"] == {"ogg": "audio/ogg", "mp3": "audio/mpeg"}[kind]
        await growing.speak(tone(880))
        await growing.stop_writing()
        await growing.join()
        sound, rate_hz = decoded(await listener.to_the_end())
    assert listener.is_whole
    assert len(sound) / rate_hz == pytest.approx(2, abs=0.11)
    assert pitch(sound[: rate_hz * 9 // 10], rate_hz) == pytest.approx(440, abs=5)
    assert pitch(sound[-rate_hz * 8 // 10 :], rate_hz) == pytest.approx(880, abs=5)


def seconds(body: bytes) -> float:
    try:
        sound, rate_hz = decoded(body)
    except av.FFmpegError:  # not yet enough to tell what it is
        return 0
    return len(sound) / rate_hz


@COMPRESSED
async def test_a_finished_answer_is_encoded_from_its_file(listen: Listen, growing: GrowingAnswer, kind: str) -> None:
    """Also long afterwards, with a name to save it under."""
    await growing.write("One.")
    await growing.speak(tone(440, seconds=3))
    await growing.stop_writing()
    await growing.join()
    async with listen(f"?format={kind}") as listener:
        sound, rate_hz = decoded(await listener.to_the_end())
    assert len(sound) / rate_hz == pytest.approx(3, abs=0.11)
    assert pitch(sound, rate_hz) == pytest.approx(440, abs=2)
    assert 0.1 < float(np.sqrt(np.mean(sound**2))) < 0.25
    assert listener.headers["content-disposition"].endswith(f'{growing.job_id}_response.{kind}"')
    assert len(listener.body) < 3 * RATE_HZ * 2 / 3


@COMPRESSED
@pytest.mark.parametrize("rate_hz", [8_000, 10_000, 16_000, 22_050, 24_000, 44_100, 48_000])
def test_a_voice_may_have_any_rate(kind: formats.Encoded, rate_hz: int) -> None:
    """One that the codec does not know is brought to one that it does, and keeps its pitch and length."""
    encoder = Encoder(kind, rate_hz)
    pieces = [encoder.encode(tone(600, 0.7, rate_hz).tobytes()), encoder.finish()]
    sound, own_rate_hz = decoded(b"".join(pieces))
    assert own_rate_hz >= rate_hz
    assert 0.69 < len(sound) / own_rate_hz < 0.9, "more is added than the silence that fills a frame"
    assert pitch(sound, own_rate_hz) == pytest.approx(600, abs=10)


async def test_an_offset_is_for_wav(client: httpx.AsyncClient, growing: GrowingAnswer) -> None:
    """A byte of a compressed answer is none in particular: 416 says what to do."""
    answer = await client.get(f"/audio/{growing.job_id}?format=ogg&offset=10")
    assert (answer.status_code, answer.json()["code"]) == (416, "offset_needs_wav")
    assert "format=wav" in answer.json()["detail"]


async def test_an_unknown_format_is_refused(client: httpx.AsyncClient, growing: GrowingAnswer) -> None:
    """422 names those that there are."""
    answer = await client.get(f"/audio/{growing.job_id}?format=flac")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert "'wav', 'ogg' or 'mp3'" in answer.json()["detail"]


@COMPRESSED
async def test_an_answer_that_begins_anew_breaks_off(listen: Listen, growing: GrowingAnswer, kind: str) -> None:
    """As a WAV does: without the last chunk."""
    async with listen(f"?format={kind}") as listener:
        await growing.write("One.", "Two.")
        await growing.speak()
        await listener.until(1)
        await growing.write_anew()
        await growing.write("Another.")
        await listener.to_the_end()
        assert not listener.is_whole


@COMPRESSED
async def test_who_leaves_gives_the_encoder_back(
    app: FastAPI, listen: Listen, growing: GrowingAnswer, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, and off the event loop, as it was used."""
    threads = []
    close = Encoder.close

    def noted(encoder: Encoder) -> None:
        close(encoder)
        threads.append(threading.current_thread().name)

    monkeypatch.setattr(Encoder, "close", noted)
    encoding = app.state.cascade.encoding
    async with listen(f"?format={kind}") as listener:
        await growing.write("One.", "Two.")
        assert encoding.encoders == 0, "whoever only waits has none"
        await growing.speak()
        await listener.until(1)
        assert encoding.encoders == 1
    assert encoding.encoders == app.state.cascade.feeds.followers == 0
    encoding.close()
    assert [name.partition("_")[0] for name in threads] == ["encoding"]


async def test_there_are_only_so_many_encoders(
    listen: Listen, growing: GrowingAnswer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is one too many is told to come back, or to take WAV."""
    monkeypatch.setattr(formats, "_MOST_ENCODERS", 1)
    await growing.write("One.", "Two.")
    await growing.speak()
    async with listen("?format=ogg") as listener:
        await listener.until(1)
        async with listen("?format=mp3") as another:
            await another.to_the_end()
        assert (another.status, "retry-after" in another.headers) == (503, True)
        assert b"too_many_encodings" in another.body
    async with listen("?format=mp3") as another:
        await another.until(1)
        assert another.status == 200


@COMPRESSED
async def test_a_listener_who_takes_nothing_has_nothing_encoded_ahead(
    listen: Listen, growing: GrowingAnswer, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the answer: a block is read and encoded when the one before has been taken."""
    blocks = []
    encode = Encoder.encode

    def noted(encoder: Encoder, samples: bytes) -> bytes:
        blocks.append(len(samples))
        return encode(encoder, samples)

    monkeypatch.setattr(Encoder, "encode", noted)
    await growing.write("One.")
    await growing.speak(tone(440, seconds=60))
    async with listen(f"?format={kind}") as slow, listen(f"?format={kind}") as quick:
        slow.stop_taking()
        await growing.stop_writing()
        await growing.join()
        sound, rate_hz = decoded(await quick.to_the_end())
        assert len(sound) / rate_hz == pytest.approx(60, abs=0.2)
        assert sum(blocks) < 60 * RATE_HZ * 2 * 1.1
