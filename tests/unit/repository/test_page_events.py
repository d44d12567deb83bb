"""The events that the page handles, compared with their definitions in shared/queue/events.py."""

import re
from pathlib import Path

from shared.queue.events import EVENTS, LAST_EVENTS, payload_types

WEB = Path(__file__).parents[3] / "api" / "web"

#: The events that the page ignores, with the reason.
IGNORED = {
    "pending": "the page shows that a job waits from the moment when it was accepted",
    "revived": "the page stops following a job that has failed",
}


def handled_events() -> dict[str, str]:
    """The code of the page for each event, by the event's name."""
    source = (WEB / "job_session.js").read_text()
    switch = re.search(r"switch \(name\) \{(.*?)\n    \}", source, re.DOTALL)
    assert switch
    return dict(re.findall(r"case '(\w+)':(.*?)(?=\n      (?:case|default))", switch[1], re.DOTALL))


def test_page_handles_every_event() -> None:
    """The page handles every event except the ignored ones, and no name that is not defined."""
    assert IGNORED.keys() <= EVENTS.keys()
    assert handled_events().keys() == EVENTS.keys() - IGNORED.keys(), "handle the event in job_session.js or ignore it"


def test_page_reads_only_defined_fields() -> None:
    """Each field that the page reads from an event is part of the event's payload."""
    strings = (WEB / "strings.js").read_text()
    read_count = 0
    for name, code in handled_events().items():
        fields = set(re.findall(r"\bdata\.(\w+)", code))
        for function in re.findall(r"strings\.(\w+)\(data\)", code):
            parameters = re.search(rf"function {function}\(\{{(.*?)\}}\)", strings)
            assert parameters, function
            fields |= {parameter.partition(":")[0].strip() for parameter in parameters[1].split(",")}
        assert fields <= payload_types(EVENTS[name]).keys() - EVENTS[name].internal, name
        read_count += len(fields)
    assert read_count >= 10


def test_page_stops_following_at_the_last_events() -> None:
    """The page ends a job's stream at the same events as the service."""
    source = (WEB / "events.js").read_text()
    names = re.search(r"LAST_EVENTS = new Set\(\[(.*?)\]\)", source)
    assert names
    assert set(re.findall(r"'(\w+)'", names[1])) == LAST_EVENTS
