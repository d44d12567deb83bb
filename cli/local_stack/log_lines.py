"""One line of a process's output as one JSON object, whatever the process writes."""

import json
import re
from datetime import UTC, datetime

#: The keys of every event: a line without them is not one of ours.
_KEYS = {"time", "level", "service", "event"}

#: `7:M 27 Nov 2026 23:49:31.123 # Could not ...`, and `7:signal-handler (1795824230) Received ...`
_REDIS = re.compile(r"\d+:[XCSM] (?P<time>\d\d \w{3} \d{4} \d\d:\d\d:\d\d\.\d{3}) (?P<level>[.*#-]) (?P<message>.*)")
_REDIS_SIGNAL = re.compile(r"\d+:signal-handler \((?P<time>\d{1,12})\) (?P<message>.*)")
_REDIS_TIME = "%d %b %Y %H:%M:%S.%f"
_REDIS_LEVELS = {".": "debug", "-": "debug", "*": "info", "#": "warning"}

#: `2026-11-27 23:49:31,123 WARN exited: ...`
_SUPERVISOR = re.compile(r"(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) (?P<level>[A-Z]{4}) (?P<message>.*)")
_SUPERVISOR_TIME = "%Y-%m-%d %H:%M:%S,%f"
_SUPERVISOR_LEVELS = {"DEBG": "debug", "INFO": "info", "WARN": "warning", "ERRO": "error", "CRIT": "critical"}


#: How many places of a line are tried for the beginning of an event.
_MOST_BEGINNINGS = 10


def json_lines(line: bytes, service: str) -> list[bytes]:
    """`line` as it is if it is an event of ours, else as the message of an event.

    C code that prints half a line has an event of its process behind it: that becomes a line of its own.
    """
    begin = line.find(b'{"')
    for _ in range(_MOST_BEGINNINGS):
        if begin < 0:
            break
        if _is_event(line[begin:]):
            return [_wrapped(line[:begin], service), line[begin:]] if begin else [line]
        begin = line.find(b'{"', begin + 1)
    return [_wrapped(line, service)]


def _wrapped(line: bytes, service: str) -> bytes:
    text = line.decode(errors="backslashreplace")
    event, moment, level, message = _read_redis(text) or _read_supervisor(text) or _plain(text)
    time = moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    wrapped = {"event": event, "message": message, "service": service, "level": level, "time": time}
    return json.dumps(wrapped, ensure_ascii=False).encode()


def _is_event(line: bytes) -> bool:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.keys() >= _KEYS


_Parts = tuple[str, datetime, str, str]


def _read_redis(text: str) -> _Parts | None:
    if found := _REDIS_SIGNAL.fullmatch(text):
        return "redis_message", datetime.fromtimestamp(int(found["time"]), UTC), "info", found["message"]
    found = _REDIS.fullmatch(text)
    moment = _moment(found["time"], _REDIS_TIME) if found else None
    return ("redis_message", moment, _REDIS_LEVELS[found["level"]], found["message"]) if found and moment else None


def _read_supervisor(text: str) -> _Parts | None:
    found = _SUPERVISOR.fullmatch(text)
    moment = _moment(found["time"], _SUPERVISOR_TIME) if found else None
    level = _SUPERVISOR_LEVELS.get(found["level"], "info") if found else ""
    return ("supervisor_message", moment, level, found["message"]) if found and moment else None


def _plain(text: str) -> _Parts:
    return "output_line", datetime.now(UTC), "warning", text


def _moment(text: str, form: str) -> datetime | None:
    """A local time, as both servers write it."""
    try:
        return datetime.strptime(text, form)
    except ValueError:
        return None
