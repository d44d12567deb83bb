"""A scripted Cascade server on 127.0.0.1, with one job whose events can break off or wait."""

import json
import ssl
import threading
from collections import defaultdict, deque
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from fakes.model_server import Cut, Gate, Reply, html_reply, json_reply

JOB_ID = "3f2b8c1e9d4a4f6f8b7a6c5d4e3f2a1b"
ACCEPTED_JOB = {
    "message": "Accepted.",
    "job_id": JOB_ID,
    "status_url": "http://127.0.0.1:9/",
    "audio_url": "x",
    "events_url": "x",
}
COMPLETED_JOB = {
    "job_id": JOB_ID,
    "status": "completed",
    "transcript": "how much is it",
    "response": "It is twelve.",
    "duration_s": 1.5,
    "timings": {"stages": {}, "first_audio_s": 0.25, "total_s": 1.0},
    "error": None,
}


@dataclass
class ReceivedRequest:
    """One request to the server."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class CascadeServer:
    """Use as a context manager. Unless `on` sets other replies, it accepts everything and the job completes at once."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.received: list[ReceivedRequest] = []
        self._replies: dict[tuple[str, str], deque[Reply]] = defaultdict(deque)
        self._request_added = threading.Condition()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle(self) -> None:
                with suppress(OSError):  # the client has disconnected
                    super().handle()

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                server._reply(self)

            do_POST = do_DELETE = do_GET  # noqa: N815 - named by http.server

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        if tls:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._http.server_port}"
        self.on("POST", "/transcribe", json_reply(202, ACCEPTED_JOB))
        self.on("POST", "/ask", json_reply(202, ACCEPTED_JOB))
        self.on("POST", "/speak", json_reply(202, ACCEPTED_JOB))
        self.on("GET", "/queues", json_reply(200, {"stages": {}, "live": 0, "delayed": 0, "dead": 0, "workers": []}))
        self.on("GET", f"/events/{JOB_ID}", event_stream(*ANSWER_EVENTS))
        self.on("GET", f"/status/{JOB_ID}", json_reply(200, COMPLETED_JOB))
        self.on("GET", f"/audio/{JOB_ID}", Reply((b"RIFF whole",), headers={"content-type": "audio/wav"}))
        self.on("DELETE", f"/jobs/{JOB_ID}", Reply(status=204))

    def on(self, method: str, path: str, *replies: Reply) -> None:
        """Set the replies to such requests, in order; the last one is repeated."""
        self._replies[method, path] = deque(replies)

    def replies(self, method: str, path: str) -> list[Reply]:
        """The replies to the next such requests."""
        return list(self._replies[method, path])

    def requests(self, method: str, path: str) -> list[ReceivedRequest]:
        return [request for request in self.received if (request.method, request.path) == (method, path)]

    def wait_for_requests(self, method: str, path: str, count: int = 1) -> None:
        """Wait until `count` such requests have arrived."""
        with self._request_added:
            assert self._request_added.wait_for(lambda: len(self.requests(method, path)) >= count, 30), self.received

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def _reply(self, handler: BaseHTTPRequestHandler) -> None:
        address = urlsplit(handler.path)
        body = _read_body(handler)
        headers = {name.lower(): value for name, value in handler.headers.items()}
        with self._request_added:
            self.received.append(ReceivedRequest(handler.command, address.path, parse_qs(address.query), headers, body))
            replies = self._replies[handler.command, address.path]
            reply = html_reply(404) if not replies else replies.popleft() if len(replies) > 1 else replies[0]
            self._request_added.notify_all()
        _send_reply(handler, reply)


def _read_body(handler: BaseHTTPRequestHandler) -> bytes:
    if handler.headers.get("transfer-encoding") != "chunked":
        return handler.rfile.read(int(handler.headers.get("content-length", "0")))
    body = b""
    while size := int(handler.rfile.readline(), 16):
        body += handler.rfile.read(size)
        handler.rfile.readline()
    return body


def _send_reply(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
    steps = deque(reply.steps)
    while steps and isinstance(steps[0], Gate):  # the headers wait, too
        assert steps.popleft().event.wait(60)
    if steps and isinstance(steps[0], Cut):
        handler.close_connection = True
        return
    handler.send_response(reply.status)
    for name, value in reply.headers.items():
        handler.send_header(name, value)
    has_body = reply.status != 204
    if has_body:
        handler.send_header("transfer-encoding", "chunked")
    handler.end_headers()
    for step in steps:
        if isinstance(step, bytes):
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(step), step))
            handler.wfile.flush()
        elif isinstance(step, Gate):
            assert step.event.wait(60)
        else:
            assert isinstance(step, Cut)
            handler.close_connection = True
            return
    if has_body:
        handler.wfile.write(b"0\r\n\r\n")


def sse_event(number: int, name: str, **data: object) -> bytes:
    """A server-sent event with the id `number`-0."""
    return f"id: {number}-0\nevent: {name}\ndata: {json.dumps(data)}\n\n".encode()


def event_stream(*steps: bytes | Gate | Cut) -> Reply:
    """The reply to a request for a job's events, with a ping after each event."""
    return Reply(tuple(step + b": ping\n\n" if isinstance(step, bytes) else step for step in steps))


def problem_reply(status: int, code: str, detail: str, **headers: str) -> Reply:
    """A refusal as problem+json. In the names of headers `_` stands for `-`."""
    body = {"type": "about:blank", "title": "", "status": status, "detail": detail, "code": code}
    return json_reply(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


ANSWER_EVENTS = (
    sse_event(1, "pending"),
    sse_event(2, "processing", stage="stt", attempt=1),
    sse_event(3, "transcript", text="how much is it", language="en"),
    sse_event(4, "stage_done", stage="stt"),
    sse_event(5, "processing", stage="llm", attempt=1),
    sse_event(6, "text", text="It is"),
    sse_event(7, "text", text=" twelve."),
    sse_event(8, "stage_done", stage="llm"),
    sse_event(9, "processing", stage="tts", attempt=1),
    sse_event(10, "segment", index=0, duration_s=1.5, url="http://127.0.0.1:9/"),
    sse_event(11, "completed"),
)

__all__ = ["Cut", "Gate", "Reply", "html_reply", "json_reply"]
