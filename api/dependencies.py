"""What the routes are handed."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from api.intake.upload_slots import Intake
from api.jobs.audio_formats import Encoding
from api.jobs.job_changes import Changes
from api.jobs.job_feed import Feeds
from api.settings import ApiSettings
from shared.queue.queue import Queue
from shared.storage.local import Storage


@dataclass(frozen=True)
class State:
    """Built once, when the application starts."""

    settings: ApiSettings
    queue: Queue
    storage: Storage
    changes: Changes
    feeds: Feeds
    encoding: Encoding
    intake: Intake


def _state(request: Request) -> State:
    return cast(State, request.app.state.cascade)


StateDep = Annotated[State, Depends(_state)]
