"""A server on 127.0.0.1 that speaks as ours does, and does as it is told: one job, whose events break off or go on."""

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

JOB = "3f2b8c1e9d4a4f6f8b7a6c5d4e3f2a1b"
ACCEPTED = {
    "message": "Accepted.",
    "job_id": JOB,
    "status_url": "http://127.0.0.1:9/",
    "audio_url": "x",
    "events_url": "x",
}
DONE = {
    "job_id": JOB,
    "status": "completed",
    "transcript": "how much is it",
    "response": "It is twelve.",
    "duration_s": 1.5,
    "timings": {"stages": {}, "first_audio_s": 0.25, "total_s": 1.0},
    "error": None,
}


@dataclass
class Received:
    """One request, as it came."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class CascadeServer:
    """Use as a context manager. Unless told otherwise it accepts everything, and the job completes at once."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.received: list[Received] = []
        self._replies: dict[tuple[str, str], deque[Reply]] = defaultdict(deque)
        self._told = threading.Condition()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle(self) -> None:
                with suppress(OSError):  # the client went away
                    super().handle()

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                server._answer(self)

            do_POST = do_DELETE = do_GET  # noqa: N815 - named by http.server

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        if tls:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._http.server_port}"
        self.on("POST", "/transcribe", json_reply(202, ACCEPTED))
        self.on("POST", "/ask", json_reply(202, ACCEPTED))
        self.on("POST", "/speak", json_reply(202, ACCEPTED))
        self.on("GET", "/queues", json_reply(200, {"stages": {}, "live": 0, "delayed": 0, "dead": 0, "workers": []}))
        self.on("GET", f"/events/{JOB}", events(*ANSWER))
        self.on("GET", f"/status/{JOB}", json_reply(200, DONE))
        self.on("GET", f"/audio/{JOB}", Reply((b"RIFF whole",), headers={"content-type": "audio/wav"}))
        self.on("DELETE", f"/jobs/{JOB}", Reply(status=204))

    def on(self, method: str, path: str, *replies: Reply) -> None:
        """What to reply to each such request; the last is repeated for all that follow."""
        self._replies[method, path] = deque(replies)

    def replies(self, method: str, path: str) -> list[Reply]:
        """What such requests are going to be replied."""
        return list(self._replies[method, path])

    def requests(self, method: str, path: str) -> list[Received]:
        return [each for each in self.received if (each.method, each.path) == (method, path)]

    def until(self, method: str, path: str, *, times: int = 1) -> None:
        """Until so many such requests have come."""
        with self._told:
            assert self._told.wait_for(lambda: len(self.requests(method, path)) >= times, 30), self.received

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        address = urlsplit(handler.path)
        body = _body(handler)
        headers = {name.lower(): value for name, value in handler.headers.items()}
        with self._told:
            self.received.append(Received(handler.command, address.path, parse_qs(address.query), headers, body))
            replies = self._replies[handler.command, address.path]
            reply = html_reply(404) if not replies else replies.popleft() if len(replies) > 1 else replies[0]
            self._told.notify_all()
        _send(handler, reply)


def _body(handler: BaseHTTPRequestHandler) -> bytes:
    if handler.headers.get("transfer-encoding") != "chunked":
        return handler.rfile.read(int(handler.headers.get("content-length", "0")))
    body = b""
    while size := int(handler.rfile.readline(), 16):
        body += handler.rfile.read(size)
        handler.rfile.readline()
    return body


def _send(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
    steps = deque(reply.steps)
    while steps and isinstance(steps[0], Gate):  # the headers wait as well
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


def event(number: int, name: str, **data: object) -> bytes:
    """One event, with the id that says its place."""
    return f"id: {number}-0\nevent: {name}\ndata: {json.dumps(data)}\n\n".encode()


def events(*steps: bytes | Gate | Cut) -> Reply:
    """What follows a job: the events, with a sign of life behind each as ours gives when there is nothing else."""
    return Reply(tuple(step + b": ping\n\n" if isinstance(step, bytes) else step for step in steps))


def problem(status: int, code: str, detail: str, **headers: str) -> Reply:
    """A refusal. A header's `_` stands for `-`."""
    body = {"type": "about:blank", "title": "", "status": status, "detail": detail, "code": code}
    return json_reply(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


ANSWER = (
    event(1, "pending"),
    event(2, "processing", stage="stt", attempt=1),
    event(3, "transcript", text="how much is it", language="en"),
    event(4, "stage_done", stage="stt"),
    event(5, "processing", stage="llm", attempt=1),
    event(6, "text", text="It is"),
    event(7, "text", text=" twelve."),
    event(8, "stage_done", stage="llm"),
    event(9, "processing", stage="tts", attempt=1),
    event(10, "segment", index=0, duration_s=1.5, url="http://127.0.0.1:9/"),
    event(11, "completed"),
)

__all__ = ["Cut", "Gate", "Reply", "html_reply", "json_reply"]
