"""Recordings that were claimed together are recognized together."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

RequestT = TypeVar("RequestT")
AnswerT = TypeVar("AnswerT")

#: An answer to each request, in their order. An exception is raised to whoever made it.
Answers = asyncio.Future[Sequence[AnswerT | Exception]]


@dataclass(frozen=True)
class _Waiting(Generic[RequestT, AnswerT]):
    request: RequestT
    answer: "asyncio.Future[AnswerT]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Batcher(Generic[RequestT, AnswerT]):
    """Gathers the requests of all who are on their way to one, and makes them in one call.

    Nobody is waited for who is not there: one alone is asked for at once.
    """

    def __init__(self, ask: Callable[[Sequence[RequestT]], Coroutine[Any, Any, Sequence[AnswerT | Exception]]]) -> None:
        """`ask` answers each request; what it raises, or answers with as an exception, is raised to whoever asked."""
        self._ask = ask
        self._on_their_way = 0
        self._waiting: list[_Waiting[RequestT, AnswerT]] = []

    @contextmanager
    def on_the_way(self) -> Iterator[Callable[[RequestT], Awaitable[AnswerT]]]:
        """What is made of a request in this block is waited for by the others. It may make one, or leave without."""
        arrived = False

        def arrive() -> None:
            nonlocal arrived
            if not arrived:
                arrived = True
                self._on_their_way -= 1

        async def ask(request: RequestT) -> AnswerT:
            waiting = _Waiting[RequestT, AnswerT](request)
            self._waiting.append(waiting)
            arrive()
            self._call_if_all_are_here()
            return await waiting.answer

        self._on_their_way += 1
        try:
            yield ask
        finally:
            arrive()
            self._call_if_all_are_here()

    def _call_if_all_are_here(self) -> None:
        waiting = [each for each in self._waiting if not each.answer.done()]  # without those that were cancelled
        if waiting and not self._on_their_way:
            self._waiting = []
            call = asyncio.create_task(self._ask([each.request for each in waiting]))
            call.add_done_callback(lambda _: _deliver(call, waiting))
            for each in waiting:
                each.answer.add_done_callback(lambda _: _end_if_nobody_waits(call, waiting))


def _deliver(call: Answers[AnswerT], waiting: list[_Waiting[RequestT, AnswerT]]) -> None:
    error = None if call.cancelled() else call.exception()
    for place, each in enumerate(waiting):
        if each.answer.done():  # nobody waits for it any more
            continue
        if call.cancelled():
            each.answer.cancel()
        elif error is not None:
            each.answer.set_exception(error)
        elif isinstance(answer := call.result()[place], Exception):
            each.answer.set_exception(answer)
        else:
            each.answer.set_result(answer)


def _end_if_nobody_waits(call: Answers[AnswerT], waiting: list[_Waiting[RequestT, AnswerT]]) -> None:
    if all(each.answer.done() for each in waiting):
        call.cancel()
