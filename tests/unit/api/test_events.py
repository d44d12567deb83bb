"""Following a job by server-sent events."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from fakeredis import FakeServer
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.responses import event_stream
from fakes.growing_answer import GrowingAnswer
from fakes.listener import Listener
from shared.queue.keys import KEYS

Follow = Callable[..., Listener]


@pytest.fixture
def follow(listen: Callable[..., Listener], growing_answer: GrowingAnswer) -> Follow:
    """Follow the job's events, from the one with the id `after` on."""

    def follow(after: str = "") -> Listener:
        headers = {"last_event_id": after} if after else {}
        return listen(path=f"/events/{growing_answer.job_id}", **headers)

    return follow


def parse_events(body: bytes) -> list[tuple[str, str, Any]]:
    """The id, name and data of each complete event."""
    events = []
    for block in body.decode().split("\n\n")[:-1]:
        lines = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        if lines:
            events.append((lines.get("id", ""), lines["event"], json.loads(lines["data"])))
    return events


async def wait_for_event(listener: Listener, name: str, count: int = 1) -> list[tuple[str, str, Any]]:
    """Wait until `count` events of that name have come, and return all events so far."""
    while [event[1] for event in parse_events(listener.body)].count(name) < count:
        assert not listener.is_done, listener.body
        await listener.read(len(listener.body) + 1)
    return parse_events(listener.body)


async def test_events_come_once_and_in_order(follow: Follow, growing_answer: GrowingAnswer) -> None:
    """A subscriber gets past and new events once and in order, each with an id, except for its place in the queue."""
    async with follow() as listener:
        await growing_answer.write("One.")
        await wait_for_event(listener, "text")
        samples = await growing_answer.synthesize()
        await growing_answer.complete()
        events = parse_events(await listener.read_to_end())
    assert listener.is_complete
    assert listener.headers["content-type"].startswith("text/event-stream")
    assert listener.headers["x-accel-buffering"] == "no"
    stored_events = [event for event in events if event[1] != "position"]
    assert all(event[0] for event in stored_events)
    assert [event[1] for event in stored_events] == [
        "pending",
        *("processing", "stage_done"),
        *("processing", "text"),
        *("processing", "segment"),
        "stage_done",
        "completed",
    ]
    segment = next(data for _, name, data in events if name == "segment")
    assert segment == {
        "index": 0,
        "duration_s": len(samples) / 16_000,
        "url": f"/audio/{growing_answer.job_id}/segments/0",
    }, "the event reveals a path on the volume"


async def test_a_reconnect_gets_exactly_the_rest(follow: Follow, growing_answer: GrowingAnswer) -> None:
    """A subscriber that reconnects after any event gets exactly the events behind it, during the job and after its
    end."""
    await growing_answer.write("One.", "Two.")
    await growing_answer.synthesize()
    async with follow() as listener:
        events_so_far = await wait_for_event(listener, "segment")
    stored_events = [event for event in events_so_far if event[0]]
    for index, (last_id, _, _) in enumerate(stored_events):
        async with follow(after=last_id) as listener:
            await assert_stored_events(listener, stored_events[index + 1 :])
    await growing_answer.synthesize()
    await growing_answer.complete()
    async with follow() as listener:
        all_events = parse_events(await listener.read_to_end())
    for index, (last_id, _, _) in enumerate(all_events):
        async with follow(after=last_id) as listener:
            assert parse_events(await listener.read_to_end()) == all_events[index + 1 :]


async def assert_stored_events(listener: Listener, expected: list[Any]) -> None:
    """Assert that the subscriber gets exactly these events, apart from places in the queue."""
    while len([event for event in parse_events(listener.body) if event[0]]) < len(expected):
        await listener.read(len(listener.body) + 1)
    await asyncio.sleep(0.02)
    assert [event for event in parse_events(listener.body) if event[0]] == expected


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut_sizes=st.lists(st.integers(0, 2_000), max_size=4, unique=True))
async def test_a_stream_that_is_cut_at_any_byte_can_be_resumed(
    cut_sizes: list[int], follow: Follow, events_of_completed_job: list[Any]
) -> None:
    """A subscriber that is cut off at any byte and reconnects, again and again, gets each event once."""
    collected: list[Any] = []
    for size in [*sorted(cut_sizes), 10**9]:
        async with follow(after=collected[-1][0] if collected else "") as listener:
            body = await listener.read(size) if size < 10**9 else await listener.read_to_end()
            collected += parse_events(body[:size])
    assert collected == events_of_completed_job


@pytest.fixture
async def events_of_completed_job(follow: Follow, growing_answer: GrowingAnswer) -> list[Any]:
    """All events of a job with two segments."""
    await growing_answer.write("One.", "Two.")
    await growing_answer.synthesize()
    await growing_answer.synthesize()
    await growing_answer.complete()
    async with follow() as listener:
        return parse_events(await listener.read_to_end())


async def test_a_reconnect_while_waiting_gets_the_place_in_the_queue(
    follow: Follow, growing_answer: GrowingAnswer
) -> None:
    """A subscriber of a waiting job that reconnects gets the job's place in the queue again, since that event has no
    id."""
    async with follow() as listener:
        events_so_far = await wait_for_event(listener, "position")
    last_id = [event[0] for event in events_so_far if event[0]][-1]
    async with follow(after=last_id) as listener:
        new_events = await wait_for_event(listener, "position")
    assert [(name, data["ahead"]) for _, name, data in new_events] == [("position", 0)]


async def test_a_subscriber_of_a_running_job_gets_no_place_in_the_queue(
    follow: Follow, growing_answer: GrowingAnswer
) -> None:
    """A subscriber that comes when the job is running gets no place in the queue, although an earlier one did."""
    async with follow() as early_subscriber:
        await wait_for_event(early_subscriber, "position")
        await growing_answer.write("One.")
        await wait_for_event(early_subscriber, "position", 2)
        await growing_answer.synthesize()
        await wait_for_event(early_subscriber, "segment")
        async with follow() as late_subscriber:
            assert [name for _, name, _ in await wait_for_event(late_subscriber, "segment") if name == "position"] == []


async def test_a_restart_is_an_event(follow: Follow, growing_answer: GrowingAnswer) -> None:
    """A restart of the answer is an event with the number of the first segment that counts."""
    async with follow() as listener:
        await growing_answer.write("One.", "Two.")
        await growing_answer.synthesize()
        await growing_answer.restart()
        await growing_answer.write("Another.")
        events = await wait_for_event(listener, "restarted")
    assert next(data for _, name, data in events if name == "restarted") == {"first": 2}


async def test_a_slow_subscriber_does_not_delay_others(
    app: FastAPI, follow: Follow, growing_answer: GrowingAnswer
) -> None:
    """A subscriber that does not read has little buffered for it, delays no other, and gets all events later."""
    async with follow() as slow_subscriber, follow() as fast_subscriber:
        await wait_for_event(fast_subscriber, "pending")
        slow_subscriber.pause_reading()
        for number in range(30):
            await growing_answer.write(f"Sentence {number}.")
            await wait_for_event(fast_subscriber, "text", number + 1)
        assert len(parse_events(slow_subscriber.body)) < 10
        slow_subscriber.resume_reading()
        assert len([1 for _, name, _ in await wait_for_event(slow_subscriber, "text", 30) if name == "text"]) == 30


async def test_an_event_is_formatted_once_for_all_subscribers(
    follow: Follow, growing_answer: GrowingAnswer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event of a job with twenty subscribers is formatted once, so that many subscribers cost little more than the
    sending."""
    formatted = []
    format_sse_event = event_stream.format_sse_event

    def record_event(**event: Any) -> bytes:
        formatted.append(event["event"])
        return format_sse_event(**event)

    monkeypatch.setattr(event_stream, "format_sse_event", record_event)
    listeners = [follow() for _ in range(20)]
    async with asyncio.TaskGroup() as group:
        for listener in listeners:
            group.create_task(listener.__aenter__())
    for listener in listeners:
        await wait_for_event(listener, "pending")
    await growing_answer.write("One.")
    for listener in listeners:
        await wait_for_event(listener, "text")
    for listener in listeners:
        await listener.disconnect()
    assert formatted.count("text") == 1


async def test_comments_keep_an_idle_connection_open(
    follow: Follow, growing_answer: GrowingAnswer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A subscriber of a job without news gets a comment now and then, since proxies close a connection that is silent
    for a minute."""
    monkeypatch.setattr("api.jobs.job_feed._IDLE_S", 0.02)
    await growing_answer.write()
    async with follow() as listener:
        await wait_for_event(listener, "processing", 2)
        while listener.body.count(b": ping\n\n") < 4:
            await listener.read(len(listener.body) + 1)


async def test_the_feed_is_closed_with_its_last_subscriber(
    app: FastAPI, follow: Follow, growing_answer: GrowingAnswer
) -> None:
    """A job's feed and its watch for changes are closed when the last of two subscribers leaves."""
    state = app.state.cascade
    async with follow() as first:
        await wait_for_event(first, "pending")
        async with follow() as second:
            await wait_for_event(second, "pending")
            assert (state.feeds.subscribers, len(state.feeds._open)) == (2, 1)
        assert (state.feeds.subscribers, len(state.feeds._open)) == (1, 1)
    assert (state.feeds.subscribers, len(state.feeds._open), len(state.changes._waiting)) == (0, 0, 0)


@pytest.mark.parametrize(
    "foreign_event",
    [
        {"event": "segment", "data": "{}"},
        {"event": "segment", "data": '{"index": "1", "path": 2}'},
        {"event": "restarted", "data": '{"first": null}'},
        {"event": "text", "data": "no JSON"},
        {"event": "text", "data": "[1]"},
        {"data": "{}"},
    ],
    ids=["no index", "invalid path", "no first", "no JSON", "no object", "no event"],
)
async def test_a_malformed_event_in_redis_ends_the_stream(
    follow: Follow, listen: Callable[..., Listener], growing_answer: GrowingAnswer, foreign_event: dict[str, str]
) -> None:
    """A malformed event in Redis ends the event stream, and gives an audio listener 503; neither waits for ever."""
    await growing_answer.queue.client.command("xadd", KEYS["EVENTS"] + growing_answer.job_id, foreign_event)
    async with follow() as subscriber, listen() as audio:
        await subscriber.read_to_end()
        assert subscriber.status == 200
        await audio.read_to_end()
        assert audio.status == 503


async def test_subscribers_survive_an_outage_of_redis(
    follow: Follow, growing_answer: GrowingAnswer, fake_redis: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A subscriber waits while Redis is unreachable, and then gets the events that it missed."""
    monkeypatch.setattr("api.jobs.job_feed._RECONNECT_S", 0.01)
    async with follow() as listener:
        await wait_for_event(listener, "pending")
        fake_redis.connected = False
        await asyncio.sleep(0.05)
        fake_redis.connected = True
        await growing_answer.write("One.")
        await wait_for_event(listener, "text")
