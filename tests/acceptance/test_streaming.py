"""Playing and following an answer while it is made, by real processes that may be killed."""

import io
import signal
import threading
import wave
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import av
import pytest
from redis import Redis

from api.jobs.audio_formats import WAV_HEADER_BYTES
from fakes import openai_server
from fakes.openai_server import Gate, Hang, OpenAiServer
from shared.queue.keys import KEYS
from support.http_stream import HttpStream
from support.redis_server import RedisServer
from support.services import ServiceProcesses

pytestmark = [pytest.mark.redis, pytest.mark.models]

SENTENCES = (
    "The first thing to know is that water boils at a hundred degrees. ",
    "The second is that it does so sooner on a mountain. ",
    "A third one is that salt makes it a little later. ",
    "Then there is the kettle, which does not matter. ",
    "And that was all of it.",
)
OTHER_SENTENCES = ("Another answer starts here. ", "It has other words. ", "No listener plays the rest of the first.")


@pytest.fixture
def model() -> Iterator[OpenAiServer]:
    """A scripted language model."""
    with OpenAiServer("") as server:
        yield server


@pytest.fixture
def services(own_redis: RedisServer, tmp_path: Path, model: OpenAiServer) -> Iterator[ServiceProcesses]:
    """A stack that is not started yet, with the embedded speech engines and the scripted language model."""
    engines = {"STT_ENGINE": "pocketsphinx", "LLM_ENGINE": "openai", "TTS_ENGINE": "espeak", "TTS_VOICE": "en-us"}
    services = ServiceProcesses(
        own_redis.url, tmp_path / "volume", **engines, OPENAI_BASE_URL=f"{model.url}/v1", TTS_VOICES="en=en-gb"
    )
    yield services
    services.stop()


def reply_with_a_pause(model: OpenAiServer) -> threading.Event:
    """Let the model pause within the second sentence until the returned event is set."""
    may_continue = threading.Event()
    start, rest = SENTENCES[1][:9], SENTENCES[1][9:]
    model.reply_with(openai_server.answer(SENTENCES[0], start, Gate(may_continue), rest, *SENTENCES[2:]))
    return may_continue


def play(
    services: ServiceProcesses, job_id: str, headers: dict[str, str] | None = None, **query: str | int
) -> HttpStream:
    return HttpStream(services.url, f"/audio/{job_id}", headers, **query)


def follow(services: ServiceProcesses, job_id: str, after: str = "") -> HttpStream:
    return HttpStream(services.url, f"/events/{job_id}", {"Last-Event-ID": after} if after else None)


def final_samples(services: ServiceProcesses, job_id: str) -> bytes:
    """Wait until the job has completed; return the bytes of its audio file behind the header."""
    job = services.wait_until_ended(job_id)
    assert job["status"] == "completed", (job, services.logs())
    with wave.open(str(services.data_dir / job["audio_path"])) as file:
        assert file.getnframes() / file.getframerate() == pytest.approx(job["duration_s"], abs=0.01)
        return file.readframes(file.getnframes())


def test_answer_is_played_while_it_is_written(services: ServiceProcesses, model: OpenAiServer) -> None:
    """A listener receives the first sentence in each format before the model has written the second, and in the end
    the whole file, sample for sample, also from an offset on; the voice is that of the language."""
    may_continue = reply_with_a_pause(model)
    services.start()
    services.wait_until_ready()
    job_id = services.upload()
    with (
        play(services, job_id) as wav,
        play(services, job_id, format="ogg") as ogg,
        play(services, job_id, format="mp3") as mp3,
        follow(services, job_id) as events,
    ):
        wav.read(WAV_HEADER_BYTES + 20_000)
        ogg.read(2_000)
        mp3.read(2_000)
        events.wait_for_event("segment")
        assert services.status(job_id)["status"] == "processing"
        assert services.client.head(f"/audio/{job_id}").status_code == 200
        with play(services, job_id, offset=10_001) as later:
            later.read(5_000)
            may_continue.set()
            samples = final_samples(services, job_id)
            wav.read_to_end()
            assert wav.wav_samples == samples
            assert later.read_to_end() == wav.body[10_001:]
        assert "".join(text["text"] for text in events.event_data("text")) == "".join(SENTENCES)
        durations_s = [len(samples) / 2 / 22_050, *(_duration_s(stream.read_to_end()) for stream in (ogg, mp3))]
    assert durations_s == pytest.approx([durations_s[0]] * 3, abs=0.15)
    segments = [services.client.get(segment["url"]).content for segment in events.event_data("segment")]
    assert b"".join(segment[WAV_HEADER_BYTES:] for segment in segments) == samples
    assert services.status(job_id)["engines"]["tts"] == {"engine": "espeak", "model": "en-gb"}


def _duration_s(body: bytes) -> float:
    with av.open(io.BytesIO(body)) as container:
        rate_hz = container.streams.audio[0].rate
        return sum(frame.samples for frame in container.decode(audio=0)) / rate_hz


def test_two_tts_workers_synthesize_one_answer_in_order(services: ServiceProcesses, model: OpenAiServer) -> None:
    """A listener receives the segments of two TTS workers in order, sample for sample like the whole file."""
    model.reply_with(openai_server.answer(*SENTENCES * 3))
    services.start("api", "stt", "llm", "tts", "tts-2")
    services.wait_until_ready(tts=2)
    for _ in range(3):
        job_id = services.upload()
        with play(services, job_id) as listener:
            samples = final_samples(services, job_id)
            listener.read_to_end()
            assert listener.wav_samples == samples


def test_killed_tts_worker_leaves_no_gap_in_the_audio(services: ServiceProcesses, model: OpenAiServer) -> None:
    """A listener whose TTS worker is killed waits until another has synthesized its segment, and receives the whole."""
    may_continue = reply_with_a_pause(model)
    services.start()
    services.wait_until_ready()
    job_id = services.upload()
    with play(services, job_id) as listener, follow(services, job_id) as events:
        listener.read(WAV_HEADER_BYTES + 20_000)
        services.processes["tts"].send_signal(signal.SIGSTOP)  # it waits for a task, which Redis will pass to it
        may_continue.set()
        events.wait_for_event("stage_done", 2)
        services.kill("tts")
        services.start("tts-2")
        samples = final_samples(services, job_id)
        listener.read_to_end()
        assert listener.wav_samples == samples
        assert events.event_data("restarted") == []
    assert services.status(job_id)["attempts"]["tts"] > len(events.event_data("segment")) + 1


def test_killed_llm_worker_restarts_the_answer(services: ServiceProcesses, model: OpenAiServer) -> None:
    """Listeners of an answer whose LLM worker is killed are cut off and get 412 when they continue; a new listener and
    a subscriber receive the second answer, whole and alone."""
    model.reply_with(openai_server.unfinished(*SENTENCES[:4], Hang()), openai_server.answer(*OTHER_SENTENCES))
    services.start()
    services.wait_until_ready()
    job_id = services.upload()
    with follow(services, job_id) as events:
        with play(services, job_id) as listener:
            events.wait_for_event("segment", 3)
            received = len(listener.read(WAV_HEADER_BYTES + 20_000))
            with play(services, job_id, format="ogg") as ogg:
                ogg.read(2_000)
                services.kill("llm")
                services.start("llm-2")
                listener.read_to_end()
                ogg.read_to_end()
            assert listener.is_cut_off
            assert ogg.is_cut_off
        with play(services, job_id, {"If-Match": listener.headers["etag"]}, offset=received) as continued:
            continued.read_to_end()
            assert continued.status == 412
        with play(services, job_id) as new_listener:
            samples = final_samples(services, job_id)
            new_listener.read_to_end()
            assert new_listener.wav_samples == samples
            assert samples != listener.wav_samples
        events.read_to_end()
    job = services.status(job_id)
    assert job["response"] == "".join(OTHER_SENTENCES)
    assert job["attempts"]["llm"] == 2
    (restarted,) = events.event_data("restarted")
    names = [event["event"] for event in events.events]
    after = events.events[names.index("restarted") :]
    assert "".join(event["data"]["text"] for event in after if event["event"] == "text") == "".join(OTHER_SENTENCES)
    urls = [segment["url"] for segment in events.event_data("segment") if segment["index"] >= restarted["first"]]
    assert b"".join(services.client.get(url).content[WAV_HEADER_BYTES:] for url in urls) == samples


def test_events_continue_after_the_last_received_one(services: ServiceProcesses, model: OpenAiServer) -> None:
    """A subscriber that reconnects after any event, also to a restarted API, receives exactly the later ones."""
    model.reply_with(openai_server.answer(*SENTENCES))
    services.start()
    services.wait_until_ready()
    job_id = services.upload()
    with follow(services, job_id) as events:
        events.read_to_end()
    services.kill("api")
    services.start("api")
    services.wait_until_ready()
    stored = [event for event in events.events if event["event"] != "position"]
    assert stored[-1]["event"] == "completed"
    for position in range(0, len(stored), 3):
        with follow(services, job_id, after=stored[position]["id"]) as reconnected:
            reconnected.read_to_end()
            assert reconnected.events == stored[position + 1 :]


def test_all_streams_share_one_subscription(
    services: ServiceProcesses, model: OpenAiServer, own_redis: RedisServer
) -> None:
    """An API with many listeners and subscribers of many jobs has one subscription to Redis."""
    may_continue = threading.Event()
    model.reply_with(openai_server.answer(SENTENCES[0], Gate(may_continue), *SENTENCES[1:]))
    services.start()
    services.wait_until_ready()
    jobs = [services.upload() for _ in range(3)]
    with ExitStack() as exits:
        subscribers = [exits.enter_context(follow(services, job_id)) for job_id in jobs * 4]
        listeners = [exits.enter_context(play(services, job_id)) for job_id in jobs]
        for subscriber in subscribers[:3]:
            subscriber.wait_for_event("transcript")
        with Redis.from_url(own_redis.url, decode_responses=True) as client:
            assert client.pubsub_numsub(KEYS["CHANNEL"]) == [(KEYS["CHANNEL"], 1)]
            assert sum(int(connection["sub"]) for connection in client.client_list()) == 1
        may_continue.set()
        for stream in [*subscribers, *listeners]:
            stream.read_to_end()
            assert not stream.is_cut_off
