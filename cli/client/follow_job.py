"""A job from its question to its answer."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, aclosing, suppress
from pathlib import Path
from typing import Any, Protocol

from cli.client.async_client import AsyncCascadeClient
from cli.client.job_events import Event, follow
from cli.commands.requests import Question
from cli.errors import CommandError
from cli.terminal.playback import Playback

#: How long somebody who interrupts waits for the server to say which job was made of what it has just been sent.
_ACCEPTED_WITHIN_S = 2.0


class Watcher(Protocol):
    """Who is told of a job."""

    def note(self, message: str) -> None: ...

    def show(self, event: Event) -> None: ...

    def finish(self, job: dict[str, Any]) -> None: ...


class JobFailed(CommandError):
    """The job ended otherwise than complete; `job` is what is known of it."""

    def __init__(self, job: dict[str, Any]) -> None:
        error = job.get("error") or {"code": job["status"], "message": f"The job was {job['status']}."}
        super().__init__(f"{error.get('message')} ({error.get('code')})", str(error.get("code")))
        self.job = job


async def answered(
    server: AsyncCascadeClient,
    question: Question,
    watcher: Watcher,
    *,
    save_to: Callable[[str], Path] | None = None,
    playback: Playback | None = None,
    keep: bool = False,
) -> tuple[dict[str, Any], Path | None]:
    """The status of the job that is made of the question, once it is complete, and the file with the spoken answer.
    `save_to` chooses the file, by the job's id; `playback` lets the answer be heard meanwhile. Whoever interrupts this
    cancels the job, unless it is to be kept.

    Raises:
        CommandError: the server cannot be reached or refuses, or the job failed.
    """
    job_id = await _submitted(server, question, watcher, keep=keep)
    async with AsyncExitStack() as stack:
        if playback:
            await stack.enter_async_context(playback.of(server, job_id))
        await _ended(server, job_id, watcher, playback, keep=keep)
        job = await server.status(job_id)
        if job["status"] != "completed":
            raise JobFailed(job)
        watcher.finish(job)
        path = None
        if save_to and question.is_spoken:
            path = save_to(job_id)
            try:
                await server.save(job_id, path)
            except OSError as error:
                reason = f"{path} cannot be written: {error.strerror}. The answer is at {server.url}/audio/{job_id}."
                raise CommandError(reason, "not_written") from None
        if playback:
            await playback.finish()
    return job, path


async def _submitted(server: AsyncCascadeClient, question: Question, watcher: Watcher, *, keep: bool) -> str:
    with question.content() as content:
        sending = asyncio.create_task(server.submit(question.path, **content))
        try:
            return await asyncio.shield(sending)
        except asyncio.CancelledError:
            # It may be about to be accepted, and would then run on unseen.
            await asyncio.wait({sending}, timeout=_ACCEPTED_WITHIN_S)
            if sending.done() and not sending.cancelled() and sending.exception() is None:
                await _interrupted(server, sending.result(), watcher, keep=keep)
            else:
                sending.cancel()
                watcher.note("Interrupted before the server had accepted it.")
            with suppress(asyncio.CancelledError, CommandError):
                await sending
            raise


async def _ended(
    server: AsyncCascadeClient, job_id: str, watcher: Watcher, playback: Playback | None, *, keep: bool
) -> None:
    try:
        async with aclosing(follow(server, job_id)) as events:
            async for event in events:
                watcher.show(event)
                if playback:
                    playback.hear(event)
    except asyncio.CancelledError:
        await _interrupted(server, job_id, watcher, keep=keep)
        raise
    except CommandError as error:
        if error.code != "job_gone":
            watcher.note(f"The job goes on: {server.url}/status/{job_id}")
        raise


async def _interrupted(server: AsyncCascadeClient, job_id: str, watcher: Watcher, *, keep: bool) -> None:
    if keep:
        watcher.note(f"Interrupted. The job goes on: {server.url}/status/{job_id}")
        return
    try:
        await server.cancel(job_id)
    except CommandError as error:
        watcher.note(
            f"Interrupted. The job could not be cancelled, and goes on: {server.url}/status/{job_id} ({error})"
        )
    else:
        watcher.note(f"Interrupted. The job {job_id} is cancelled.")
