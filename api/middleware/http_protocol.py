"""Connections: how long a request's head may take, and how much of one is read."""

import socket
from asyncio import TimerHandle, Transport
from collections.abc import Sized

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from api.middleware.connection_limits import LISTENS, most_connections
from api.problems import render as problems
from api.problems.render import Problem

#: A whole head has come so long after the connection was opened, or after the last answer; uvicorn waits for ever.
_HEAD_S = 10.0

#: What may come without a byte of a body among it: heads, trailers, extensions of chunks. The parser has no limit.
_HEAD_BYTES = 32_768

#: Requests may be sent before the answer to the first one, and each is kept. Behind so many in line no more are taken.
_MOST_IN_LINE = 32

#: Whoever takes nothing of an answer for so long has gone. A kernel that does not know the option waits on.
_UNREAD_S = 60

_MALFORMED = Problem(400, "malformed_request", "This is not HTTP/1.1. If it is TLS, ask for http:// here.")
_TOO_SLOW = Problem(408, "request_stalled", "The head of the request came too slowly. Send it again.")
_TOO_LARGE = Problem(431, "head_too_large", f"The head of the request is larger than {_HEAD_BYTES:,} bytes.")


class _Stop(Exception):
    """Said to the parser: what comes behind this is not looked at, not even what has been read with it."""


class _Flow(FlowControl):
    """While requests stand in line, no more are read: uvicorn would read on after each answer."""

    def __init__(self, transport: Transport, line: Sized) -> None:
        super().__init__(transport)
        self._line = line

    def resume_reading(self) -> None:
        if not self._line:
            super().resume_reading()


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, for whom nobody costs more than it should."""

    transport: Transport
    _head_timer: TimerHandle | None = None
    _waiting_since = 0.0
    _no_body = 0
    _is_full = False
    _answering: RequestResponseCycle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = _Flow(transport, self.pipeline)
        peer = transport.get_extra_info("socket")
        if hasattr(socket, "TCP_USER_TIMEOUT") and peer.family in (socket.AF_INET, socket.AF_INET6):
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_S * 1000)
        self._await_head()
        if len(self.connections) > most_connections():
            self._make_room()  # if listeners are not what makes them so many

    def connection_lost(self, exc: Exception | None) -> None:
        self._have_head()
        if self._answering:  # uvicorn tells only the last in line, and this one would go on writing
            self._answering.disconnected = True
            self._answering.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_full:
            return
        self._no_body += len(data)
        super().data_received(data)
        if self._no_body > _HEAD_BYTES:
            self._refuse(_TOO_LARGE)

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= _MOST_IN_LINE:
            self._is_full = True
            self.cycle.keep_alive = False  # it is the last in line: its answer says that the connection ends
            raise _Stop
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) + len(b": \r\n") for name, value in self.headers)
        if size > _HEAD_BYTES:  # it came in one read
            self._refuse(_TOO_LARGE)
            raise _Stop
        self._no_body = 0
        self._have_head()
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def on_body(self, body: bytes) -> None:
        self._no_body = 0
        super().on_body(body)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._waiting_since = self.loop.time()
        elif self.cycle.response_complete:
            self._await_head()

    def pause_writing(self) -> None:
        self._waiting_since = self.loop.time()
        super().pause_writing()

    def _make_room(self) -> None:
        """End the connection whose client has kept us waiting longest; if nobody else does, it is the new one."""
        others = [each for each in self.connections if isinstance(each, BoundedProtocol) and not each._is_listening()]
        if len(others) <= most_connections():
            return
        longest = min(filter(BoundedProtocol._is_waiting, others), key=lambda each: each._waiting_since)
        longest._have_head()
        self.connections.discard(longest)  # else the next newcomer, before its end is told, would find it once more
        longest.transport.abort()

    def _is_listening(self) -> bool:
        """A job is being followed; but who does not take what it is sent is like all others who keep us waiting."""
        cycle = self._answering
        return bool(cycle and not cycle.response_complete and cycle.scope["state"].get(LISTENS)) and not (
            self.flow.write_paused or self.transport.is_closing()
        )

    def _is_waiting(self) -> bool:
        """For a head, or for an answer to be taken: a connection that is closing still has some of it to send."""
        return self._head_timer is not None or self.flow.write_paused or self.transport.is_closing()

    def _await_head(self) -> None:
        self._have_head()
        self._waiting_since = self.loop.time()
        self._head_timer = self.loop.call_later(_HEAD_S, self._give_up)

    def _have_head(self) -> None:
        if self._head_timer:
            self._head_timer.cancel()
            self._head_timer = None

    def send_400_response(self, _message: str) -> None:
        if not self._is_full:
            self._refuse(_MALFORMED)

    def _give_up(self) -> None:
        if self._no_body:
            self._refuse(_TOO_SLOW)
        else:
            self.transport.close()  # it has asked for nothing: a browser may have opened it for later

    def _refuse(self, problem: Problem) -> None:
        if self.transport.is_closing():
            return
        is_answering = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if not is_answering:
            answer = problems.answer(problem)
            headers = b"".join(b"%b: %b\r\n" % header for header in answer.raw_headers)
            self.transport.write(STATUS_LINE[problem.status] + headers + b"connection: close\r\n\r\n" + answer.body)
        self.transport.close()
