"""The relay that merges the output of several processes into one log."""

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
    """Lines of several writers arrive once, whole and in each writer's order, even if longer than a pipe's buffer."""
    names = ["api", "redis", "stt-worker"]

    def write(name: str, path: Path) -> None:
        with path.open("wb", buffering=0) as pipe:
            for number in range(200):
                line = event(name, number, "x" * (100_000 if number % 50 == 0 else number))
                pipe.write(line[:7])  # the rest of the line follows in a second write
                pipe.write(line[7:])

    with (tmp_path / "log").open("ab") as log, LogRelay(tmp_path, names, log.fileno()) as relay:
        threads = [Thread(target=write, args=(name, relay.path(name))) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    lines = [json.loads(line) for line in (tmp_path / "log").read_bytes().splitlines()]
    assert Counter(line["service"] for line in lines) == dict.fromkeys(names, 200)
    for name in names:
        assert [line["number"] for line in lines if line["service"] == name] == list(range(200))


def test_output_left_in_the_pipes_is_logged_when_the_relay_stops(tmp_path):
    """A process's last output is logged when the relay stops, even without a line feed."""
    with (
        (tmp_path / "log").open("ab") as log,
        LogRelay(tmp_path, ["api"], log.fileno()) as relay,
        relay.path("api").open("wb", buffering=0) as pipe,
    ):
        pipe.write(event("api", 1) + b"\n\nAborted")
    lines = [json.loads(line) for line in (tmp_path / "log").read_bytes().splitlines()]
    assert [(line["event"], line.get("message")) for line in lines] == [("tick", None), ("output_line", "Aborted")]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_unwritable_log_does_not_block_the_processes(tmp_path):
    """The pipes are read even when the log's disk is full: a full pipe would block its process."""
    with (
        Path("/dev/full").open("wb") as full,
        LogRelay(tmp_path, ["api"], full.fileno()) as relay,
        relay.path("api").open("wb", buffering=0) as pipe,
    ):
        for number in range(2_000):
            pipe.write(event("api", number, "x" * 100))
