"""What the routes are handed."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from api.changes import Changes
from api.feeds import Feeds
from api.formats import Encoding
from api.intake import Intake
from api.settings import ApiSettings
from shared.queue import Queue
from shared.storage import Storage


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
