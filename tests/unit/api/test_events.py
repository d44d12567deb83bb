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

from api.jobs import job_events as events
from fakes.growing_answer import GrowingAnswer
from fakes.listener import Listener
from shared.queue.keys import KEYS

Follow = Callable[..., Listener]


@pytest.fixture
def follow(listen: Callable[..., Listener], growing: GrowingAnswer) -> Follow:
    """Somebody who follows the job, from the event with the id `after` on."""

    def follow(after: str = "") -> Listener:
        headers = {"last_event_id": after} if after else {}
        return listen(path=f"/events/{growing.job_id}", **headers)

    return follow


def parsed(body: bytes) -> list[tuple[str, str, Any]]:
    """Id, name and data of each event that has come whole."""
    events = []
    for block in body.decode().split("\n\n")[:-1]:
        lines = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        if lines:
            events.append((lines.get("id", ""), lines["event"], json.loads(lines["data"])))
    return events


async def until_told(listener: Listener, name: str, count: int = 1) -> list[tuple[str, str, Any]]:
    while [event[1] for event in parsed(listener.body)].count(name) < count:
        assert not listener.is_over, listener.body
        await listener.until(len(listener.body) + 1)
    return parsed(listener.body)


async def test_everything_is_told_in_order(follow: Follow, growing: GrowingAnswer) -> None:
    """What had happened before, what happens meanwhile, and the end, each once, each with an id but for places in
    line."""
    async with follow() as listener:
        await growing.write("One.")
        await until_told(listener, "text")
        said = await growing.speak()
        await growing.stop_writing()
        await growing.join()
        events = parsed(await listener.to_the_end())
    assert listener.is_whole
    assert listener.headers["content-type"].startswith("text/event-stream")
    assert listener.headers["x-accel-buffering"] == "no"
    happened = [event for event in events if event[1] != "position"]
    assert all(event[0] for event in happened)
    assert [event[1] for event in happened] == [
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
        "duration_s": len(said) / 16_000,
        "url": f"/audio/{growing.job_id}/segments/0",
    }, "a path on the volume is nobody's business"


async def test_a_reconnect_gets_exactly_the_rest(follow: Follow, growing: GrowingAnswer) -> None:
    """Whatever the last event was, while the job runs and when it has ended."""
    await growing.write("One.", "Two.")
    await growing.speak()
    async with follow() as listener:
        before = await until_told(listener, "segment")
    happened = [event for event in before if event[0]]
    for place, (last, _, _) in enumerate(happened):
        async with follow(after=last) as again:
            await growing_is_read(again, happened[place + 1 :])
    await growing.speak()
    await growing.stop_writing()
    await growing.join()
    async with follow() as late:
        everything = parsed(await late.to_the_end())
    for place, (last, _, _) in enumerate(everything):
        async with follow(after=last) as again:
            assert parsed(await again.to_the_end()) == everything[place + 1 :]


async def growing_is_read(listener: Listener, expected: list[Any]) -> None:
    while len([event for event in parsed(listener.body) if event[0]]) < len(expected):
        await listener.until(len(listener.body) + 1)
    await asyncio.sleep(0.02)
    assert [event for event in parsed(listener.body) if event[0]] == expected


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reconnects=st.lists(st.integers(0, 2_000), max_size=4, unique=True))
async def test_a_stream_that_is_cut_anywhere_can_be_taken_up(
    reconnects: list[int], follow: Follow, told: list[Any]
) -> None:
    """A client that was cut off at any byte, again and again, has each event once."""
    collected: list[Any] = []
    for size in [*sorted(reconnects), 10**9]:
        async with follow(after=collected[-1][0] if collected else "") as listener:
            body = await listener.until(size) if size < 10**9 else await listener.to_the_end()
            collected += parsed(body[:size])
    assert collected == told


@pytest.fixture
async def told(follow: Follow, growing: GrowingAnswer) -> list[Any]:
    """Of an answer that is whole."""
    await growing.write("One.", "Two.")
    await growing.speak()
    await growing.speak()
    await growing.stop_writing()
    await growing.join()
    async with follow() as listener:
        return parsed(await listener.to_the_end())


async def test_who_waits_in_line_is_told_the_place_when_connecting_again(
    follow: Follow, growing: GrowingAnswer
) -> None:
    """The place is no part of what happened: it has no id, and is told anew."""
    async with follow() as listener:
        first = await until_told(listener, "position")
    last_id = [event[0] for event in first if event[0]][-1]
    async with follow(after=last_id) as again:
        assert [(name, data["ahead"]) for _, name, data in await until_told(again, "position")] == [("position", 0)]


async def test_who_comes_when_the_line_is_over_hears_of_no_place(follow: Follow, growing: GrowingAnswer) -> None:
    """Although somebody who has followed from before heard of one."""
    async with follow() as early:
        await until_told(early, "position")
        await growing.write("One.")
        await until_told(early, "position", 2)
        await growing.speak()
        await until_told(early, "segment")
        async with follow() as late:
            assert [name for _, name, _ in await until_told(late, "segment") if name == "position"] == []


async def test_a_restart_is_told(follow: Follow, growing: GrowingAnswer) -> None:
    """With the number of the first segment that counts."""
    async with follow() as listener:
        await growing.write("One.", "Two.")
        await growing.speak()
        await growing.write_anew()
        await growing.write("Another.")
        events = await until_told(listener, "restarted")
    assert next(data for _, name, data in events if name == "restarted") == {"first": 2}


async def test_a_slow_listener_keeps_nobody_waiting(app: FastAPI, follow: Follow, growing: GrowingAnswer) -> None:
    """Nor is anything kept for it: it finds the events where everybody does."""
    async with follow() as slow, follow() as quick:
        await until_told(quick, "pending")
        slow.stop_taking()
        for number in range(30):
            await growing.write(f"Sentence {number}.")
            await until_told(quick, "text", number + 1)
        assert len(parsed(slow.body)) < 10
        slow.take_on()
        assert len([1 for _, name, _ in await until_told(slow, "text", 30) if name == "text"]) == 30


async def test_what_is_sent_to_many_is_written_once(
    follow: Follow, growing: GrowingAnswer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand listeners of one job cost little more than the sending."""
    written = []
    plain = events.format_sse_event

    def noted(**event: Any) -> bytes:
        written.append(event["event"])
        return plain(**event)

    monkeypatch.setattr(events, "format_sse_event", noted)
    listeners = [follow() for _ in range(20)]
    async with asyncio.TaskGroup() as group:
        for listener in listeners:
            group.create_task(listener.__aenter__())
    for listener in listeners:
        await until_told(listener, "pending")
    await growing.write("One.")
    for listener in listeners:
        await until_told(listener, "text")
    for listener in listeners:
        await listener.leave()
    assert written.count("text") == 1


async def test_a_word_now_and_then_keeps_the_connection(
    follow: Follow, growing: GrowingAnswer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A comment, which clients ignore: proxies close what is silent for a minute."""
    monkeypatch.setattr("api.jobs.job_feed._IDLE_S", 0.02)
    await growing.write()
    async with follow() as listener:
        await until_told(listener, "processing", 2)
        while listener.body.count(b": ping\n\n") < 4:
            await listener.until(len(listener.body) + 1)


async def test_a_follower_who_leaves_leaves_nothing_behind(
    app: FastAPI, follow: Follow, growing: GrowingAnswer
) -> None:
    """One of two keeps the feed open; with the last it is closed, and so is the watch for changes."""
    state = app.state.cascade
    async with follow() as first:
        await until_told(first, "pending")
        async with follow() as second:
            await until_told(second, "pending")
            assert (state.feeds.followers, len(state.feeds._open)) == (2, 1)
        assert (state.feeds.followers, len(state.feeds._open)) == (1, 1)
    assert (state.feeds.followers, len(state.feeds._open), len(state.changes._waiting)) == (0, 0, 0)


@pytest.mark.parametrize(
    "forged",
    [
        {"event": "segment", "data": "{}"},
        {"event": "segment", "data": '{"index": "1", "path": 2}'},
        {"event": "restarted", "data": '{"first": null}'},
        {"event": "text", "data": "no JSON"},
        {"event": "text", "data": "[1]"},
        {"data": "{}"},
    ],
    ids=["no index", "a path that is none", "no first", "no JSON", "no object", "no event"],
)
async def test_what_nobody_of_us_has_written_ends_the_stream(
    follow: Follow, listen: Callable[..., Listener], growing: GrowingAnswer, forged: dict[str, str]
) -> None:
    """An operator's mistake in Redis is no crash, and nobody waits for ever."""
    await growing.queue.redis.client.xadd(KEYS["EVENTS"] + growing.job_id, forged)
    async with follow() as follower, listen() as audio:
        await follower.to_the_end()
        assert follower.status == 200
        await audio.to_the_end()
        assert audio.status == 503


async def test_redis_may_go_away_for_a_while(
    follow: Follow, growing: GrowingAnswer, fake_redis: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Followers wait, and hear what has happened when it is back."""
    monkeypatch.setattr("api.jobs.job_feed._RECONNECT_S", 0.01)
    async with follow() as listener:
        await until_told(listener, "pending")
        fake_redis.connected = False
        await asyncio.sleep(0.05)
        fake_redis.connected = True
        await growing.write("One.")
        await until_told(listener, "text")
