"""Conversion of a line of a process's output into log events, one JSON object each."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime

#: The keys of every log event: a line without them is not one.
_EVENT_KEYS = {"time", "level", "service", "event"}

#: `7:M 27 Nov 2026 23:49:31.123 # Could not ...`, and `7:signal-handler (1795824230) Received ...`
_REDIS = re.compile(r"\d+:[XCSM] (?P<time>\d\d \w{3} \d{4} \d\d:\d\d:\d\d\.\d{3}) (?P<level>[.*#-]) (?P<message>.*)")
_REDIS_SIGNAL = re.compile(r"\d+:signal-handler \((?P<time>\d{1,12})\) (?P<message>.*)")
_REDIS_TIME = "%d %b %Y %H:%M:%S.%f"
_REDIS_LEVELS = {".": "debug", "-": "debug", "*": "info", "#": "warning"}

#: `2026-11-27 23:49:31,123 WARN exited: ...`
_SUPERVISOR = re.compile(r"(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) (?P<level>[A-Z]{4}) (?P<message>.*)")
_SUPERVISOR_TIME = "%Y-%m-%d %H:%M:%S,%f"
_SUPERVISOR_LEVELS = {"DEBG": "debug", "INFO": "info", "WARN": "warning", "ERRO": "error", "CRIT": "critical"}

#: How many `{"` of a line are tried as the beginning of an event.
_MAX_ATTEMPTS = 10


def json_lines(line: bytes, service: str) -> list[bytes]:
    """Return `line` unchanged if it is a log event, else as the message of one.

    Where C code has printed text without a line feed, the next event of the process follows it in the same line. They
    become two lines.
    """
    begin = line.find(b'{"')
    for _ in range(_MAX_ATTEMPTS):
        if begin < 0:
            break
        if _is_event(line[begin:]):
            return [_wrap_line(line[:begin], service), line[begin:]] if begin else [line]
        begin = line.find(b'{"', begin + 1)
    return [_wrap_line(line, service)]


@dataclass(frozen=True)
class _ParsedLine:
    event: str
    written_at: datetime
    level: str
    message: str


def _wrap_line(line: bytes, service: str) -> bytes:
    text = line.decode(errors="backslashreplace")
    parsed = _parse_redis(text) or _parse_supervisor(text)
    if parsed is None:
        parsed = _ParsedLine("output_line", datetime.now(UTC), "warning", text)
    time = parsed.written_at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    event = {
        "event": parsed.event,
        "message": parsed.message,
        "service": service,
        "level": parsed.level,
        "time": time,
    }
    return json.dumps(event, ensure_ascii=False).encode()


def _is_event(line: bytes) -> bool:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.keys() >= _EVENT_KEYS


def _parse_redis(text: str) -> _ParsedLine | None:
    if match := _REDIS_SIGNAL.fullmatch(text):
        written_at = datetime.fromtimestamp(int(match["time"]), UTC)
        return _ParsedLine("redis_message", written_at, "info", match["message"])
    if (match := _REDIS.fullmatch(text)) and (local_time := _parse_time(match["time"], _REDIS_TIME)):
        return _ParsedLine("redis_message", local_time, _REDIS_LEVELS[match["level"]], match["message"])
    return None


def _parse_supervisor(text: str) -> _ParsedLine | None:
    if (match := _SUPERVISOR.fullmatch(text)) and (local_time := _parse_time(match["time"], _SUPERVISOR_TIME)):
        level = _SUPERVISOR_LEVELS.get(match["level"], "info")
        return _ParsedLine("supervisor_message", local_time, level, match["message"])
    return None


def _parse_time(text: str, time_format: str) -> datetime | None:
    """Parse a local time, which is what both servers write; None if there is no such time."""
    try:
        return datetime.strptime(text, time_format)
    except ValueError:
        return None
