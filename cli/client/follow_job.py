"""Running one job: submit its request, follow it to its end, and save the answer."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, suppress
from pathlib import Path
from typing import Any, Protocol

from cli.client.async_client import AsyncCascadeClient
from cli.client.job_events import JobEvent, follow_events
from cli.client.requests import JobRequest
from cli.errors import CommandError

#: How long an interrupted command waits for the id of the job that it has just submitted.
_ACCEPT_TIMEOUT_S = 2.0


class JobWatcher(Protocol):
    """A view of one job."""

    def note(self, message: str) -> None:
        """Show a message beside the job's texts."""

    def show(self, event: JobEvent) -> None:
        """Show an event of the job."""

    def finish(self, job: dict[str, Any]) -> None:
        """Show the status of the completed job."""


class AnswerPlayer(Protocol):
    """A player of one job's answer."""

    def play_job(self, server: AsyncCascadeClient, job_id: str) -> AbstractAsyncContextManager[None]:
        """Play the job's answer until the block is left."""

    def take(self, event: JobEvent) -> None:
        """Take an event of the job into account."""

    async def finish(self) -> None:
        """Wait until the complete answer has been played."""


class JobFailed(CommandError):
    """The job failed or was cancelled; `job` is its status."""

    def __init__(self, job: dict[str, Any]) -> None:
        error = job.get("error") or {"code": job["status"], "message": f"The job was {job['status']}."}
        super().__init__(f"{error.get('message')} ({error.get('code')})", str(error.get("code")))
        self.job = job


async def run_job(
    server: AsyncCascadeClient,
    request: JobRequest,
    watcher: JobWatcher,
    *,
    save_to: Callable[[str], Path] | None = None,
    player: AnswerPlayer | None = None,
    detach: bool = False,
) -> tuple[dict[str, Any], Path | None]:
    """Create a job, wait until it is completed, and return its status and the file of the spoken answer.

    `save_to` returns the file for a job's id; `player` plays the answer while it is generated. Cancelling this
    coroutine cancels the job, unless `detach` is set.

    Raises:
        CommandError: the server cannot be reached or refuses, or the job failed.
    """
    job_id = await _submit(server, request, watcher, detach=detach)
    async with AsyncExitStack() as stack:
        if player:
            await stack.enter_async_context(player.play_job(server, job_id))
        await _follow(server, job_id, watcher, player, detach=detach)
        job = await server.status(job_id)
        if job["status"] != "completed":
            raise JobFailed(job)
        watcher.finish(job)
        path = None
        if save_to and request.has_audio_answer:
            path = save_to(job_id)
            try:
                await server.save(job_id, path)
            except OSError as error:
                reason = f"{path} cannot be written: {error.strerror}. The answer is at {server.url}/audio/{job_id}."
                raise CommandError(reason, "not_written") from None
        if player:
            await player.finish()
    return job, path


async def _submit(server: AsyncCascadeClient, request: JobRequest, watcher: JobWatcher, *, detach: bool) -> str:
    with request.content() as content:
        submission = asyncio.create_task(server.submit(request.path, **content))
        try:
            return await asyncio.shield(submission)
        except asyncio.CancelledError:
            # The server may be about to accept the job, which would then run without a client.
            await asyncio.wait({submission}, timeout=_ACCEPT_TIMEOUT_S)
            if submission.done() and not submission.cancelled() and submission.exception() is None:
                await _interrupt(server, submission.result(), watcher, detach=detach)
            else:
                submission.cancel()
                watcher.note("Interrupted before the server accepted the job.")
            with suppress(asyncio.CancelledError, CommandError):
                await submission
            raise


async def _follow(
    server: AsyncCascadeClient, job_id: str, watcher: JobWatcher, player: AnswerPlayer | None, *, detach: bool
) -> None:
    try:
        async with aclosing(follow_events(server, job_id)) as events:
            async for event in events:
                watcher.show(event)
                if player:
                    player.take(event)
    except asyncio.CancelledError:
        await _interrupt(server, job_id, watcher, detach=detach)
        raise
    except CommandError as error:
        if error.code != "job_gone":
            watcher.note(f"The job is still running: {server.url}/status/{job_id}")
        raise


async def _interrupt(server: AsyncCascadeClient, job_id: str, watcher: JobWatcher, *, detach: bool) -> None:
    status_url = f"{server.url}/status/{job_id}"
    if detach:
        watcher.note(f"Interrupted. The job is still running: {status_url}")
        return
    try:
        await server.cancel(job_id)
    except CommandError as error:
        watcher.note(f"Interrupted. The job could not be cancelled and is still running: {status_url} ({error})")
    else:
        watcher.note(f"Interrupted. Job {job_id} was cancelled.")
