"""What the routes are handed."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from api.intake.upload_slots import UploadSlots
from api.jobs.audio_formats import Encoding
from api.jobs.job_changes import ChangeListener
from api.jobs.job_feed import FeedRegistry
from api.settings import ApiSettings
from shared.queue.queue import Queue
from shared.storage.storage import Storage


@dataclass(frozen=True)
class Services:
    """Built once, when the application starts."""

    settings: ApiSettings
    queue: Queue
    storage: Storage
    changes: ChangeListener
    feeds: FeedRegistry
    encoding: Encoding
    intake: UploadSlots


def _state(request: Request) -> Services:
    return cast(Services, request.app.state.cascade)


ServicesDep = Annotated[Services, Depends(_state)]
