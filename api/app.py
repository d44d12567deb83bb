"""The application, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.imports import collector_paused

with collector_paused():
    from fastapi import FastAPI
    from starlette.middleware.cors import CORSMiddleware

    from api.dependencies import Services
    from api.intake.upload_slots import UploadSlots
    from api.jobs.audio_formats import Encoding
    from api.jobs.cleanup import run_cleanup
    from api.jobs.job_changes import ChangeListener
    from api.jobs.job_feed import FeedRegistry
    from api.middleware import access as gate
    from api.middleware.connection_limits import most_listeners
    from api.middleware.drain_body import DrainBodyMiddleware
    from api.middleware.security_headers import AnswerHeaders
    from api.problems import render as problems
    from api.routes import admin, audio, conversations, health, jobs, texts, web
    from api.routes.docs import docs_router
    from api.schema import complete
    from api.settings import ApiSettings, listed
    from shared.background import cancel_all, start_background
    from shared.queue.queue import Queue
    from shared.storage.local import LocalStorage

#: A caller is told that the queue is unavailable when Redis has stood still for so long.
PATIENCE_S = 10.0

DESCRIPTION = """
Send a spoken question, poll its status, fetch the spoken answer. Or send texts, or want texts alone.

Errors are `application/problem+json` with a stable `code` and a `detail` that says what to do.
"""


def create_app(settings: ApiSettings, queue: Queue | None = None) -> FastAPI:
    """Build the API. `queue` is given by tests; otherwise it is the one at `settings.redis_url`.

    Raises:
        StartupError: the volume cannot be written to.
    """
    queue = queue or Queue.connect(settings.redis_url, password=settings.redis_password, patience_s=PATIENCE_S)
    storage = LocalStorage(settings.data_dir)
    storage.prepare()
    intake = UploadSlots(settings.max_uploads, settings.max_upload_bytes)
    changes = ChangeListener(queue)
    feeds, encoding = FeedRegistry(queue, changes, most_listeners()), Encoding()
    state = Services(settings, queue, storage, changes, feeds, encoding, intake)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        background = [
            start_background(state.changes.listen()),
            start_background(run_cleanup(queue, storage, settings.retention_hours * 3600)),
        ]
        yield
        await cancel_all(background)
        encoding.close()
        await queue.close()

    app = FastAPI(
        title="Cascade Speech-to-Speech",
        version="0.1.0",
        description=DESCRIPTION,
        lifespan=lifespan,
        responses=problems.ANY,
        openapi_url=None,  # /docs and /openapi.json are ours
    )
    app.state.cascade = state
    problems.install(app)
    _describe(app, needs_key=bool(settings.api_keys.get_secret_value()))
    _guard(app, settings, queue)
    for part in (jobs, texts, audio, conversations, admin, health):
        app.include_router(part.router)
    app.include_router(web.page_router())
    if settings.api_docs:
        app.include_router(docs_router(app))
    return app


def _describe(app: FastAPI, *, needs_key: bool) -> None:
    """Complete what FastAPI writes about the application."""
    plain = app.openapi
    app.openapi = lambda: complete(plain(), gate.OPEN, needs_key=needs_key)  # type: ignore[method-assign]


def _guard(app: FastAPI, settings: ApiSettings, queue: Queue) -> None:
    """Put what every request passes around the routes, innermost first."""
    app.add_middleware(gate.AccessMiddleware, settings=settings, queue=queue, keyless=web.OPEN)
    app.add_middleware(DrainBodyMiddleware)
    if origins := listed(settings.cors_origins):
        # Credentials that a browser keeps are not for other sites: their pages send a key of their own.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "HEAD", "POST", "DELETE"],
            allow_headers=["Authorization", "X-API-Key", "Idempotency-Key", "Content-Type", "Range", "Last-Event-ID"],
            expose_headers=["Location", "Retry-After", "Content-Range", "Accept-Ranges"],
        )
    app.add_middleware(AnswerHeaders)
