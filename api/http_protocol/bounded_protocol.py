"""uvicorn's HTTP protocol with limits on the time and size of a request's head, on pipelined requests, and on the
number of connections.

It overrides methods of uvicorn that are not public; `uvicorn_guard` checks at start-up that they are as expected.
"""

import socket
from asyncio import TimerHandle, Transport
from collections.abc import Sized

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from api.http_protocol.connection_limits import max_connections
from api.http_protocol.listeners import is_listener
from api.problems.catalogue import Problems
from api.problems.problem import Problem
from api.problems.render import render

#: The time for a complete head, from the opening of the connection or from the last response: uvicorn has no such
#: limit, and a client that sends a byte now and then would keep the connection for ever.
_HEAD_S = 10.0

#: The bytes that may arrive without a byte of a body: heads, trailers, chunk extensions. The parser has no limit.
_HEAD_BYTES = 32_768

#: Requests that may be pipelined, that is, sent before the response to the first one. All are held in memory.
_MAX_PIPELINED = 32

#: A client that reads nothing of a response for this long has gone. A kernel without the option keeps waiting.
_UNREAD_S = 60


class _StopParsing(Exception):
    """Raised in a callback of the parser, which then ignores all further bytes, even those of the same read."""


class _PipelineFlow(FlowControl):
    """Flow control that pauses reading while requests are pipelined: uvicorn would resume it after each response."""

    def __init__(self, transport: Transport, pipeline: Sized) -> None:
        super().__init__(transport)
        self._pipeline = pipeline

    def resume_reading(self) -> None:
        if not self._pipeline:
            super().resume_reading()


class BoundedProtocol(HttpToolsProtocol):
    """A connection whose cost is limited, in time, in memory and in number."""

    transport: Transport
    _head_timer: TimerHandle | None = None
    _waiting_since = 0.0
    #: Bytes read since the last byte of a body, or the last complete head.
    _bytes_without_body = 0
    _is_pipeline_full = False
    #: The request whose response is being made; `cycle` is the last one that was read.
    _current_cycle: RequestResponseCycle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = _PipelineFlow(transport, self.pipeline)
        peer = transport.get_extra_info("socket")
        if hasattr(socket, "TCP_USER_TIMEOUT") and peer.family in (socket.AF_INET, socket.AF_INET6):
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_S * 1000)
        self._start_head_timer()
        if len(self.connections) > max_connections():
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        if self._current_cycle:  # uvicorn notifies only the last of the pipeline, and this one would go on writing
            self._current_cycle.disconnected = True
            self._current_cycle.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_pipeline_full:
            return
        self._bytes_without_body += len(data)
        super().data_received(data)
        if self._bytes_without_body > _HEAD_BYTES:
            self._refuse(Problem(Problems.HEAD_TOO_LARGE, max_bytes=_HEAD_BYTES))

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= _MAX_PIPELINED:
            self._is_pipeline_full = True
            self.cycle.keep_alive = False  # it is the last one: its response announces that the connection closes
            raise _StopParsing
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) + len(b": \r\n") for name, value in self.headers)
        if size > _HEAD_BYTES:  # it came in one read, before `data_received` could count it
            self._refuse(Problem(Problems.HEAD_TOO_LARGE, max_bytes=_HEAD_BYTES))
            raise _StopParsing
        self._bytes_without_body = 0
        self._stop_head_timer()
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._current_cycle = cycle
        super()._start_asgi_task(cycle, app)

    def on_body(self, body: bytes) -> None:
        self._bytes_without_body = 0
        super().on_body(body)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._waiting_since = self.loop.time()
        elif self.cycle.response_complete:
            self._start_head_timer()

    def pause_writing(self) -> None:
        self._waiting_since = self.loop.time()
        super().pause_writing()

    def send_400_response(self, _message: str) -> None:
        if not self._is_pipeline_full:
            self._refuse(Problem(Problems.MALFORMED_REQUEST))

    def _make_room(self) -> None:
        """Abort the connection whose client has kept the server waiting longest, which may be the new one. Listeners do
        not count."""
        protocols = [protocol for protocol in self.connections if isinstance(protocol, BoundedProtocol)]
        ordinary = [protocol for protocol in protocols if not protocol._is_listening()]
        if len(ordinary) <= max_connections():
            return
        waiting = [protocol for protocol in ordinary if protocol._is_waiting()]
        slowest = min(waiting, key=lambda protocol: protocol._waiting_since)
        slowest._stop_head_timer()
        # Now, since `connection_lost` comes later: the next new connection would find the same one again.
        self.connections.discard(slowest)
        slowest.transport.abort()

    def _is_listening(self) -> bool:
        """True if the client follows a job and reads the response. Without reading it counts as an ordinary
        connection."""
        cycle = self._current_cycle
        if cycle is None or cycle.response_complete or not is_listener(cycle.scope):
            return False
        return not (self.flow.write_paused or self.transport.is_closing())

    def _is_waiting(self) -> bool:
        """True if the server waits for the client: for a head, or for a response to be read. A connection that is
        closing still has bytes to send."""
        return self._head_timer is not None or self.flow.write_paused or self.transport.is_closing()

    def _start_head_timer(self) -> None:
        self._stop_head_timer()
        self._waiting_since = self.loop.time()
        self._head_timer = self.loop.call_later(_HEAD_S, self._end_wait_for_head)

    def _stop_head_timer(self) -> None:
        if self._head_timer:
            self._head_timer.cancel()
            self._head_timer = None

    def _end_wait_for_head(self) -> None:
        if self._bytes_without_body:
            self._refuse(Problem(Problems.REQUEST_STALLED))
        else:
            self.transport.close()  # no request has begun: a browser may have opened it for later

    def _refuse(self, problem: Problem) -> None:
        """Send a problem, unless a response has begun, and close the connection."""
        if self.transport.is_closing():
            return
        has_begun = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if not has_begun:
            response = render(problem)
            headers = b"".join(b"%b: %b\r\n" % header for header in response.raw_headers)
            head = STATUS_LINE[problem.status] + headers + b"connection: close\r\n\r\n"
            self.transport.write(head + bytes(response.body))
        self.transport.close()
