"""The events of a job, as its feed holds them."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

from shared.errors import QueueUnreadable
from shared.queue.events import LAST_EVENTS, RestartedEvent, SegmentEvent, payload_types

#: The data that the API itself reads: name and type, by the name of the event.
_REQUIRED: dict[str, dict[str, type]] = {
    kind.name: {name: payload_types(kind)[name] for name in names}
    for kind, names in ((SegmentEvent, ("index", "path")), (RestartedEvent, ("first",)))
}


@dataclass(frozen=True)
class JobEvent:
    """One event."""

    job_id: str

    id: str
    """Increases from event to event. Empty for a position in the queue, which Redis does not store."""

    name: str

    data: dict[str, Any]
    """A segment's data includes `path`, which is not for clients."""

    renderings: dict[str, bytes] = field(default_factory=dict, compare=False, repr=False)
    """The event as each protocol sends it, rendered once for all subscribers."""

    @classmethod
    def read(cls, job_id: str, stored: dict[str, Any]) -> Self:
        """Read an event as the queue returns it.

        Raises:
            QueueUnreadable: it lacks data that this service always writes.
        """
        data = {name: value for name, value in stored.items() if name not in ("id", "event")}
        required = _REQUIRED.get(stored["event"], {})
        if not all(isinstance(data.get(name), kind) for name, kind in required.items()):
            raise QueueUnreadable
        return cls(job_id, stored["id"], stored["event"], data)

    @property
    def is_last(self) -> bool:
        return self.name in LAST_EVENTS

    @cached_property
    def order(self) -> tuple[int, ...]:
        return order_of(self.id)


def order_of(event_id: str) -> tuple[int, ...]:
    """A key by which ids can be compared. The empty id comes before all others."""
    return tuple(map(int, event_id.split("-"))) if event_id else (-1,)
