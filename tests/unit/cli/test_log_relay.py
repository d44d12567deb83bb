"""The log of several processes."""

import json
from collections import Counter
from pathlib import Path
from threading import Thread

import pytest

from cli.local_stack.log_relay import LogRelay


def event(service: str, number: int, text: str = "") -> bytes:
    fields = {"event": "tick", "service": service, "level": "info", "time": "", "number": number, "text": text}
    return json.dumps(fields).encode() + b"\n"


def test_lines_of_several_writers_stay_whole(tmp_path):
    """Each line arrives once, in one piece and in its writer's order, even one that is longer than a pipe holds."""
    names = ["api", "redis", "stt-worker"]

    def write(name: str, path: Path) -> None:
        with path.open("wb", buffering=0) as pipe:
            for number in range(200):
                line = event(name, number, "x" * (100_000 if number % 50 == 0 else number))
                pipe.write(line[:7])  # the rest of it follows
                pipe.write(line[7:])

    with (tmp_path / "log").open("ab") as log, LogRelay(tmp_path, names, log.fileno()) as relay:
        threads = [Thread(target=write, args=(name, relay.path(name))) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    events = [json.loads(line) for line in (tmp_path / "log").read_bytes().splitlines()]
    assert Counter(each["service"] for each in events) == dict.fromkeys(names, 200)
    for name in names:
        assert [each["number"] for each in events if each["service"] == name] == list(range(200))


def test_what_is_in_the_pipes_at_the_end_is_logged(tmp_path):
    """A process's last words are logged, even without an end of line."""
    with (
        (tmp_path / "log").open("ab") as log,
        LogRelay(tmp_path, ["api"], log.fileno()) as relay,
        relay.path("api").open("wb", buffering=0) as pipe,
    ):
        pipe.write(event("api", 1) + b"\n\nAborted")
    lines = [json.loads(line) for line in (tmp_path / "log").read_bytes().splitlines()]
    assert [(line["event"], line.get("message")) for line in lines] == [("tick", None), ("output_line", "Aborted")]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_log_that_cannot_be_written_does_not_block_the_stack(tmp_path):
    """Where the log's disk is full, the pipes are emptied nevertheless: a full one would block its process."""
    with (
        Path("/dev/full").open("wb") as full,
        LogRelay(tmp_path, ["api"], full.fileno()) as relay,
        relay.path("api").open("wb", buffering=0) as pipe,
    ):
        for number in range(2_000):
            pipe.write(event("api", number, "x" * 100))
