"""The web page: static files without data, which use the public API."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request, Response

from api.problems.catalogue import Problems
from api.problems.problem import Problem

_FOLDER = Path(__file__).parents[1] / "web"

_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

#: The address of the page.
HOME = "/"

#: The prefix of the addresses of its files.
PARTS = "/page/"

#: The files that the page loads. A requested name is looked up here and never becomes a path.
FILES = tuple(sorted(path.name for path in _FOLDER.iterdir() if path.suffix in _TYPES and path.name != "index.html"))

#: Served without a key: else there would be no page on which to enter one.
KEYLESS_PATHS = frozenset({HOME, *(PARTS + name for name in FILES)})

_HEADERS = {
    "Cache-Control": "no-cache",  # cached, but validated each time: files of two versions never mix
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), display-capture=(), geolocation=()",
}


@dataclass(frozen=True)
class _File:
    """One file of the page, as it is served."""

    content: bytes
    headers: dict[str, str]

    @classmethod
    def read(cls, name: str) -> "_File":
        path = _FOLDER / name
        content = path.read_bytes()
        tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        return cls(content, {**_HEADERS, "Content-Type": f"{_TYPES[path.suffix]}; charset=utf-8", "ETag": tag})

    def respond(self, request: Request) -> Response:
        cached = request.headers.get("if-none-match", "")
        if self.headers["ETag"] in (tag.strip().removeprefix("W/") for tag in cached.split(",")):
            headers = {name: value for name, value in self.headers.items() if name != "Content-Type"}
            return Response(status_code=304, headers=headers)
        return Response(self.content, headers=self.headers)


def page_router() -> APIRouter:
    """The routes of the page. Its files are read once."""
    router = APIRouter(include_in_schema=False)
    home = _File.read("index.html")
    files = {name: _File.read(name) for name in FILES}

    @router.head(HOME)
    @router.get(HOME)
    async def page(request: Request) -> Response:
        return home.respond(request)

    @router.head(PARTS + "{name}")
    @router.get(PARTS + "{name}")
    async def part(name: str, request: Request) -> Response:
        if name not in files:
            raise Problem(Problems.NOT_FOUND)
        return files[name].respond(request)

    return router
