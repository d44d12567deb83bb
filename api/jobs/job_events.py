"""What happens to a job, as those are told who follow it."""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from fastapi.sse import format_sse_event

from shared.errors import QueueUnreadable
from shared.queue.events import EVENTS, LAST_EVENTS, RestartedEvent, SegmentEvent, payload_types

#: What we ourselves read of an event.
_NEEDED: dict[str, dict[str, type]] = {
    kind.name: {name: payload_types(kind)[name] for name in names}
    for kind, names in ((SegmentEvent, ("index", "path")), (RestartedEvent, ("first",)))
}

_INTERNAL = frozenset[str]().union(*(kind.internal for kind in EVENTS.values()))


@dataclass(frozen=True)
class Event:
    """One event."""

    job_id: str

    id: str
    """In the order in which they were given out; empty for what is no part of what happened."""

    name: str

    data: dict[str, Any]
    """Of a segment also `path`, which is for us alone."""

    @classmethod
    def read(cls, job_id: str, stored: dict[str, Any]) -> Self:
        """Raises:
        QueueUnreadable: it is not as any of us writes it.
        """
        data = {name: value for name, value in stored.items() if name not in ("id", "event")}
        if not all(isinstance(data.get(name), kind) for name, kind in _NEEDED.get(stored["event"], {}).items()):
            raise QueueUnreadable
        return cls(job_id, stored["id"], stored["event"], data)

    @property
    def is_last(self) -> bool:
        return self.name in LAST_EVENTS

    @cached_property
    def order(self) -> tuple[int, ...]:
        return order_of(self.id)

    @cached_property
    def wire(self) -> bytes:
        """As a server-sent event. Written once, however many it is sent to."""
        data = {name: value for name, value in self.data.items() if name not in _INTERNAL}
        if self.name == SegmentEvent.name:
            data["url"] = f"/audio/{self.job_id}/segments/{self.data['index']}"
        return format_sse_event(data_str=json.dumps(data), event=self.name, id=self.id or None)


def order_of(event_id: str) -> tuple[int, ...]:
    """By which ids can be compared. Nothing comes before the empty one."""
    return tuple(map(int, event_id.split("-"))) if event_id else (-1,)
