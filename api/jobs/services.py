"""The services that an adapter needs to submit jobs and to follow them."""

from dataclasses import dataclass

from api.jobs.audio_formats import EncoderPool
from api.jobs.job_changes import ChangeListener
from api.jobs.job_feed import FeedRegistry
from api.settings import ApiSettings
from shared.queue.queue import Queue
from shared.storage.storage import Storage


@dataclass(frozen=True)
class JobServices:
    """The services of jobs, built once, when the application starts."""

    settings: ApiSettings
    queue: Queue
    storage: Storage
    changes: ChangeListener
    feeds: FeedRegistry
    encoders: EncoderPool
