"""The application, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.responses import RedirectResponse

from api import problems
from api.changes import Changes
from api.housekeeping import keep_house
from api.lingering import Lingering
from api.routes import health, jobs
from api.settings import ApiSettings
from api.state import State
from shared.background import end, start
from shared.queue import Queue
from shared.storage import Storage

#: A caller is told that the queue is unavailable when Redis has stood still for so long.
PATIENCE_S = 10.0

DESCRIPTION = """
Send a spoken question, poll its status, fetch the spoken answer.

Errors are `application/problem+json` with a stable `code` and a `detail` that says what to do.
"""


def create_app(settings: ApiSettings, queue: Queue | None = None) -> FastAPI:
    """Build the API. `queue` is given by tests; otherwise it is the one at `settings.redis_url`.

    Raises:
        StartupError: the volume cannot be written to.
    """
    queue = queue or Queue.connect(settings.redis_url, patience_s=PATIENCE_S)
    storage = Storage(settings.data_dir)
    storage.prepare()
    state = State(settings, queue, storage, Changes(queue))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        background = [
            start(state.changes.listen()),
            start(keep_house(queue, storage, settings.retention_hours * 3600)),
        ]
        yield
        await end(background)
        await queue.close()

    app = FastAPI(
        title="Cascade Speech-to-Speech",
        version="0.1.0",
        description=DESCRIPTION,
        lifespan=lifespan,
        responses=problems.ANY,
    )
    app.state.cascade = state
    problems.install(app)
    app.add_middleware(Lingering)
    app.include_router(jobs.router)
    app.include_router(health.router)

    @app.get("/", include_in_schema=False)
    async def home() -> RedirectResponse:
        return RedirectResponse("/docs")

    return app
