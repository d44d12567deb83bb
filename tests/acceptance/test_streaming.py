"""Hearing and following an answer while it is being made, by real processes that may be killed."""

import io
import signal
import threading
import wave
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from redis import Redis

from fakes import openai_server
from fakes.openai_server import Gate, Hang, OpenAiServer
from shared.queue.keys import KEYS
from support.http_stream import WAV_HEAD, Hearing
from support.redis_server import RedisServer
from support.services import ServiceProcesses

pytestmark = [pytest.mark.redis, pytest.mark.models]

SENTENCES = (
    "The first thing to know is that water boils at a hundred degrees. ",
    "The second is that it does so sooner on a mountain. ",
    "A third one tells of salt, which makes it a little later. ",
    "Then there is the kettle, of which I say nothing. ",
    "And that was all of it.",
)
OTHER = ("An answer of its own begins here. ", "It is another one altogether. ", "Nobody hears the rest of the first.")


@pytest.fixture
def model() -> Iterator[OpenAiServer]:
    """A language model that writes as the test says."""
    with OpenAiServer("") as server:
        yield server


@pytest.fixture
def services(own_redis: RedisServer, tmp_path: Path, model: OpenAiServer) -> Iterator[ServiceProcesses]:
    """With the engines that need no key and no download; not started yet."""
    data_dir = tmp_path / "volume"
    data_dir.mkdir()
    engines = {"STT_ENGINE": "pocketsphinx", "LLM_ENGINE": "openai", "TTS_ENGINE": "espeak", "TTS_VOICE": "en-us"}
    services = ServiceProcesses(
        own_redis.url, data_dir, **engines, OPENAI_BASE_URL=f"{model.url}/v1", TTS_VOICES="en=en-gb"
    )
    yield services
    services.stop()


def hear(services: ServiceProcesses, job_id: str, headers: dict[str, str] | None = None, **query: str | int) -> Hearing:
    return Hearing(services.url, f"/audio/{job_id}", headers, **query)


def follow(services: ServiceProcesses, job_id: str, after: str = "") -> Hearing:
    return Hearing(services.url, f"/events/{job_id}", {"Last-Event-ID": after} if after else None)


def final(services: ServiceProcesses, job_id: str) -> bytes:
    """The whole file's samples, which are those of the job that has completed."""
    job = services.ended(job_id)
    assert job["status"] == "completed", (job, services.logs())
    with wave.open(str(services.data_dir / job["audio_path"])) as file:
        assert file.getnframes() / file.getframerate() == pytest.approx(job["duration_s"], abs=0.01)
        return file.readframes(file.getnframes())


def test_an_answer_is_heard_while_it_is_written(services: ServiceProcesses, model: OpenAiServer) -> None:
    """In each format the first sentence comes while the model holds the second back; a WAV is in the end the whole
    file, sample for sample, also for whoever went on at some byte; and the voice is that of the language."""
    pen = threading.Event()
    model.reply_with(openai_server.answer(SENTENCES[0], SENTENCES[1][:9], Gate(pen), SENTENCES[1][9:], *SENTENCES[2:]))
    services.start()
    services.wait_until_ready()
    job_id = services.upload()
    with (
        hear(services, job_id) as wav,
        hear(services, job_id, format="ogg") as ogg,
        hear(services, job_id, format="mp3") as mp3,
        follow(services, job_id) as events,
    ):
        wav.until(WAV_HEAD + 20_000)
        ogg.until(2_000)
        mp3.until(2_000)
        events.until_told("segment")
        assert services.status(job_id)["status"] == "processing"
        assert services.client.head(f"/audio/{job_id}").status_code == 200
        with hear(services, job_id, offset=10_001) as later:
            later.until(5_000)
            pen.set()
            samples = final(services, job_id)
            wav.to_the_end()
            assert wav.samples == samples
            assert later.to_the_end() == wav.body[10_001:]
        assert "".join(part["text"] for part in events.named("text")) == "".join(SENTENCES)
        lengths_s = [len(samples) / 2 / 22_050, *(_length_s(each.to_the_end()) for each in (ogg, mp3))]
    assert lengths_s == pytest.approx([lengths_s[0]] * 3, abs=0.15)
    segments = events.named("segment")
    pieces = [services.client.get(segment["url"]).content for segment in segments]
    assert b"".join(piece[WAV_HEAD:] for piece in pieces) == samples
    assert services.status(job_id)["engines"]["tts"] == {"engine": "espeak", "model": "en-gb"}


def _length_s(body: bytes) -> float:
    with av.open(io.BytesIO(body)) as container:
        rate_hz = container.streams.audio[0].rate
        return sum(frame.samples for frame in container.decode(audio=0)) / rate_hz


def test_two_voices_workers_speak_one_answer(services: ServiceProcesses, model: OpenAiServer) -> None:
    """Whoever is done first, it is heard in order, and as the whole file has it."""
    model.reply_with(openai_server.answer(*SENTENCES * 3))
    services.start("api", "stt", "llm", "tts", "tts-2")
    services.wait_until_ready(tts=2)
    for _ in range(3):
        job_id = services.upload()
        with hear(services, job_id) as listener:
            samples = final(services, job_id)
            listener.to_the_end()
            assert listener.samples == samples


def test_a_killed_tts_worker_is_not_heard_of(services: ServiceProcesses, model: OpenAiServer) -> None:
    """It dies with a sentence in its hands: the listener waits until another worker has spoken that, and hears all."""
    pen = threading.Event()
    model.reply_with(openai_server.answer(SENTENCES[0], SENTENCES[1][:9], Gate(pen), SENTENCES[1][9:], *SENTENCES[2:]))
    services.start()
    services.wait_until_ready()
    job_id = services.upload()
    with hear(services, job_id) as listener, follow(services, job_id) as events:
        listener.until(WAV_HEAD + 20_000)
        services.processes["tts"].send_signal(signal.SIGSTOP)  # it waits for a task, and Redis will hand it one
        pen.set()
        events.until_told("stage_done", 2)
        services.kill("tts")
        services.start("tts-2")
        samples = final(services, job_id)
        listener.to_the_end()
        assert listener.samples == samples
        assert events.named("restarted") == []
    assert services.status(job_id)["attempts"]["tts"] > len(events.named("segment")) + 1


def test_a_killed_llm_worker_begins_anew_and_says_so(services: ServiceProcesses, model: OpenAiServer) -> None:
    """Who has heard some of the first answer is cut off without a last chunk and told that it is no more; who listens
    again, and whoever follows the events, ends up with the second answer, whole and alone."""
    model.reply_with(openai_server.unfinished(*SENTENCES[:4], Hang()), openai_server.answer(*OTHER))
    services.start()
    services.wait_until_ready()
    job_id = services.upload()
    with follow(services, job_id) as events:
        with hear(services, job_id) as listener:
            events.until_told("segment", 3)
            heard = len(listener.until(WAV_HEAD + 20_000))
            with hear(services, job_id, format="ogg") as ogg:
                ogg.until(2_000)
                services.kill("llm")
                services.start("llm-2")
                listener.to_the_end()
                ogg.to_the_end()
            assert listener.is_broken_off
            assert ogg.is_broken_off
        with hear(services, job_id, {"If-Match": listener.headers["etag"]}, offset=heard) as mistaken:
            mistaken.to_the_end()
            assert mistaken.status == 412
        with hear(services, job_id) as again:
            samples = final(services, job_id)
            again.to_the_end()
            assert again.samples == samples
            assert samples != listener.samples
        events.to_the_end()
    job = services.status(job_id)
    assert job["response"] == "".join(OTHER)
    assert job["attempts"]["llm"] == 2
    (restarted,) = events.named("restarted")
    names = [event["event"] for event in events.events]
    after = events.events[names.index("restarted") :]
    assert "".join(each["data"]["text"] for each in after if each["event"] == "text") == "".join(OTHER)
    counted = [each["url"] for each in events.named("segment") if each["index"] >= restarted["first"]]
    pieces = [services.client.get(url).content[WAV_HEAD:] for url in counted]
    assert b"".join(pieces) == samples


def test_events_go_on_where_they_were_cut_off(services: ServiceProcesses, model: OpenAiServer) -> None:
    """A client that connects again, at any event and also to another process, gets exactly the rest."""
    model.reply_with(openai_server.answer(*SENTENCES))
    services.start()
    services.wait_until_ready()
    job_id = services.upload()
    with follow(services, job_id) as events:
        events.to_the_end()
    services.kill("api")
    services.start("api")
    services.wait_until_ready()
    everything = [event for event in events.events if event["event"] != "position"]
    assert [event["event"] for event in everything][-1] == "completed"
    for place in range(0, len(everything), 3):
        with follow(services, job_id, after=everything[place]["id"]) as again:
            again.to_the_end()
            assert again.events == everything[place + 1 :]


def test_all_listeners_share_one_subscription(
    services: ServiceProcesses, model: OpenAiServer, own_redis: RedisServer
) -> None:
    """However many follow however many jobs, Redis sends each change to the process once."""
    pen = threading.Event()
    model.reply_with(openai_server.answer(SENTENCES[0], Gate(pen), *SENTENCES[1:]))
    services.start()
    services.wait_until_ready()
    jobs = [services.upload() for _ in range(3)]
    listening = [follow(services, job_id) for job_id in jobs * 4] + [hear(services, job_id) for job_id in jobs]
    try:
        for each in listening:
            each.__enter__()
        for each in listening[:3]:
            each.until_told("transcript")
        with Redis.from_url(own_redis.url, decode_responses=True) as client:
            assert client.pubsub_numsub(KEYS["CHANNEL"]) == [(KEYS["CHANNEL"], 1)]
            assert sum(int(each["sub"]) for each in client.client_list()) == 1
        pen.set()
        for each in listening:
            each.to_the_end()
            assert not each.is_broken_off
    finally:
        for each in listening:
            each.__exit__(None, None, None)
