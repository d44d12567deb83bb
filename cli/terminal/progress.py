"""How a job stands, in words."""

from typing import Any

from cli.client.job_events import Event
from shared.queue.events import (
    PositionEvent,
    ProcessingEvent,
    RestartedEvent,
    RetryingEvent,
    RevivedEvent,
    StageDoneEvent,
)

#: What a stage does, while it does it.
WORK = {"stt": "recognizing speech", "llm": "answering", "tts": "speaking"}


class Progress:
    """Where a job is, as its events tell."""

    def __init__(self) -> None:
        self.words = "waiting"
        self.stages_done = 0

    def follow(self, event: Event) -> str | None:
        """Take in an event; what it is that the user must be told of, if there is anything."""
        data = event.data
        match event.name:
            case PositionEvent.name:
                self.words = _position(data)
            case ProcessingEvent.name:
                self.words = _work(data)
            case StageDoneEvent.name:
                self.stages_done += 1
            case RetryingEvent.name:
                delay_ms = data.get("delay_ms")
                after = f" in {delay_ms / 1000:.1f} s" if isinstance(delay_ms, int | float) else ""
                return f"{_work(data)} did not succeed ({data.get('code')}): it is tried again{after}"
            case RestartedEvent.name:
                return "the answer begins anew: what came of it so far does not count"
            case RevivedEvent.name:
                return "somebody has it tried again"
        return None


def _work(data: dict[str, Any]) -> str:
    stage = str(data.get("stage"))
    return WORK.get(stage, stage)


def _position(data: dict[str, Any]) -> str:
    ahead, wait_s = data.get("ahead"), data.get("wait_s")
    before = f"waiting, {ahead} before it" if ahead else "waiting, it is next"
    return f"{before}, about {wait_s:.0f} s" if isinstance(wait_s, int | float) and wait_s >= 1 else before
