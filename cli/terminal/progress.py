"""The progress of a job, in words."""

from typing import Any

from cli.client.job_events import JobEvent
from shared.queue.events import (
    PositionEvent,
    ProcessingEvent,
    RestartedEvent,
    RetryingEvent,
    RevivedEvent,
    StageDoneEvent,
)

_ACTIVITIES = {"stt": "transcribing", "llm": "generating the answer", "tts": "synthesizing speech"}


class JobProgress:
    """A job's current activity, derived from its events."""

    def __init__(self) -> None:
        self.activity = "waiting"
        self.stages_done = 0

    def update(self, event: JobEvent) -> str | None:
        """Take an event into account. Return a notice for the user, if there is one."""
        data = event.data
        match event.name:
            case PositionEvent.name:
                self.activity = _position(data)
            case ProcessingEvent.name:
                self.activity = _activity(data)
            case StageDoneEvent.name:
                self.stages_done += 1
            case RetryingEvent.name:
                delay_ms = data.get("delay_ms")
                delay = f" in {delay_ms / 1000:.1f} s" if isinstance(delay_ms, int | float) else ""
                return f"{_activity(data)} failed ({data.get('code')}); retrying{delay}"
            case RestartedEvent.name:
                return "the answer was restarted; the text so far is discarded"
            case RevivedEvent.name:
                return "the failed job is being retried by an operator"
        return None


def _activity(data: dict[str, Any]) -> str:
    stage = str(data.get("stage"))
    return _ACTIVITIES.get(stage, stage)


def _position(data: dict[str, Any]) -> str:
    ahead = data.get("ahead")
    wait_s = data.get("wait_s")
    position = f"waiting: {ahead} ahead" if ahead else "waiting: next in line"
    return f"{position}, about {wait_s:.0f} s" if isinstance(wait_s, int | float) and wait_s >= 1 else position
