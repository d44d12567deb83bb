"""The application factory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.imports import collector_paused

with collector_paused():
    from fastapi import FastAPI
    from starlette.middleware.cors import CORSMiddleware

    from api.dependencies import Services
    from api.http_protocol.connection_limits import max_listeners
    from api.intake.upload_slots import UploadSlots
    from api.jobs.audio_formats import EncoderPool
    from api.jobs.cleanup import run_cleanup
    from api.jobs.job_changes import ChangeListener
    from api.jobs.job_feed import FeedRegistry
    from api.middleware.access import OPEN_PATHS, AccessMiddleware
    from api.middleware.drain_body import DrainBodyMiddleware
    from api.middleware.security_headers import DEFAULT_HEADERS, SecurityHeadersMiddleware
    from api.problems.body import OTHER_PROBLEMS
    from api.problems.handlers import install_handlers
    from api.routes import admin, audio, conversations, events, health, jobs, texts, web
    from api.routes.docs import docs_router
    from api.schema import complete_document
    from api.settings import ApiSettings, split_commas
    from shared.background import cancel_all, start_background
    from shared.queue.queue import Queue
    from shared.storage.local import LocalStorage

#: Seconds that Redis may take to answer before a request is refused with `queue_unavailable`.
PATIENCE_S = 10.0

DESCRIPTION = """
Send a spoken question, poll its status, fetch the answer as speech. Questions and answers may also be texts.

Errors are `application/problem+json` with a stable `code`, and a `detail` that says what to do.
"""


def create_app(settings: ApiSettings, queue: Queue | None = None) -> FastAPI:
    """Build the API. Tests pass a `queue`; otherwise it is the one at `settings.redis_url`.

    Raises:
        StartupError: the volume cannot be written to.
    """
    queue = queue or Queue.connect(settings.redis_url, password=settings.redis_password, timeout_s=PATIENCE_S)
    storage = LocalStorage(settings.data_dir)
    storage.prepare()
    changes = ChangeListener(queue)
    services = Services(
        settings=settings,
        queue=queue,
        storage=storage,
        changes=changes,
        feeds=FeedRegistry(queue, changes, max_listeners()),
        encoders=EncoderPool(),
        upload_slots=UploadSlots(settings.max_uploads, settings.max_upload_bytes),
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        background = [
            start_background(changes.listen()),
            start_background(run_cleanup(queue, storage, settings.retention_hours * 3600)),
        ]
        yield
        await cancel_all(background)
        services.encoders.close()
        await queue.close()

    app = FastAPI(
        title="Cascade Speech-to-Speech",
        version="0.1.0",
        description=DESCRIPTION,
        lifespan=lifespan,
        responses=OTHER_PROBLEMS,
        openapi_url=None,  # /docs and /openapi.json are routes of this application
    )
    app.state.cascade = services
    install_handlers(app, DEFAULT_HEADERS)
    _complete_openapi(app, needs_key=bool(settings.api_keys.get_secret_value()))
    _add_middleware(app, settings, queue)
    for module in (jobs, texts, events, audio, conversations, admin, health):
        app.include_router(module.router)
    app.include_router(web.page_router())
    if settings.api_docs:
        app.include_router(docs_router(app))
    return app


def _complete_openapi(app: FastAPI, *, needs_key: bool) -> None:
    """Complete the OpenAPI document that FastAPI generates."""
    generate = app.openapi
    app.openapi = lambda: complete_document(generate(), OPEN_PATHS, needs_key=needs_key)  # type: ignore[method-assign]


def _add_middleware(app: FastAPI, settings: ApiSettings, queue: Queue) -> None:
    """Add the middleware that every request passes, innermost first."""
    app.add_middleware(AccessMiddleware, settings=settings, queue=queue, keyless_paths=web.KEYLESS_PATHS)
    app.add_middleware(DrainBodyMiddleware)
    if origins := split_commas(settings.cors_origins):
        # No `allow_credentials`: a key that the browser has stored is not for other sites, whose pages send their own.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "HEAD", "POST", "DELETE"],
            allow_headers=["Authorization", "X-API-Key", "Idempotency-Key", "Content-Type", "Range", "Last-Event-ID"],
            expose_headers=["Location", "Retry-After", "Content-Range", "Accept-Ranges"],
        )
    app.add_middleware(SecurityHeadersMiddleware)
